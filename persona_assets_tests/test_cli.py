"""The command line: exit codes, one message without a traceback, and what goes to which stream."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from persona_assets import run as job
from persona_assets.cli import main
from persona_assets.errors import InputError, PersonaError
from persona_assets.languages import LANGUAGES
from persona_assets.settings import Settings, load_settings, prepare_home

from .conftest import CUSTOMERS, MINIMAL

PROCESS = [sys.executable, "-c", "from persona_assets.cli import main; main()"]


def _persona(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments])


def _refused(result: Result) -> str:
    """The one message of a command that refused its input."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.count("Error: ") == 1
    return result.stderr.split("Error: ")[1].removesuffix("\n")


def _everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def at_home(finished_home: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The finished home, as the one that commands work on."""
    monkeypatch.setenv("PERSONA_HOME", str(finished_home.home))
    return finished_home


def _customer(settings: Settings, where: str) -> tuple[int, str, str]:
    """Id, address and subject of a customer who has an address of his own and an e-mail."""
    with duckdb.connect(settings.warehouse_file) as connection:
        return connection.execute(
            "SELECT user_id, email, subject FROM persona.emails "
            "WHERE (SELECT COUNT(*) FROM persona.parametric AS p "
            f"WHERE LOWER(p.email) = LOWER(emails.email)) = 1 AND {where} "
            "ORDER BY user_id LIMIT 1"
        ).fetchone()


# What is refused


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--customers", "0"], "'--customers': 0 is not in the range"),
        (["run", "--customers", "all"], "'--customers': 'all' is not a valid integer"),
        (["run", "--language", "tlh"], "'--language': 'tlh' is not one of 'ar', 'de', 'en'"),
        (["run", "--writer", "goose"], "'--writer': 'goose' is not"),
        (["run", "--as-of", "2025-02-30"], "'--as-of': '2025-02-30' does not match"),
        (["run", "--source", "nowhere"], "The source nowhere is not a folder: set PERSONA_SOURCE"),
        (["trace", "1"], "run `persona run` first."),
        (["trace"], "Missing argument 'WHO'."),
    ],
)
def test_wrong_input_ends_with_2_and_one_message(tmp_path, arguments, said):
    assert said in _refused(_persona(*arguments))
    assert not (tmp_path / ".persona" / "warehouse.duckdb").exists()


@pytest.mark.parametrize("command", [["run"], ["trace", "1"], ["doctor"], ["dev"]])
def test_a_wrong_setting_ends_every_command_with_2_and_a_line_for_each(
    monkeypatch, tmp_path, command
):
    monkeypatch.setenv("PERSONA_K_MIN", "few")
    monkeypatch.setenv("PERSONA_LOCK_SECONDS", "-1")
    lines = _refused(_persona(*command)).splitlines()
    assert [line.split(" is ")[0] for line in lines] == ["PERSONA_K_MIN", "PERSONA_LOCK_SECONDS"]
    assert list(tmp_path.iterdir()) == []


def test_a_broken_source_ends_with_2_and_a_line_per_problem_and_nothing_is_loaded(
    make_source, tmp_path
):
    user = MINIMAL["users"][0]
    source = make_source(users=[user, user], events=[])
    before = _everything(source)
    lines = _refused(_persona("run", "--source", str(source))).splitlines()
    assert [line.removeprefix(f"{source}/").split(":")[0] for line in lines] == [
        "users.parquet",
        "events.parquet",
    ]
    assert _everything(source) == before
    assert {path for path in _everything(tmp_path / ".persona") if "duckdb" in path} == set()
    assert list((tmp_path / ".persona" / "reports").iterdir()) == []


@pytest.mark.parametrize("command", [["run"], ["dev"]])
def test_a_home_that_cannot_be_written_ends_with_2(monkeypatch, tmp_path, command):
    (tmp_path / "file").write_text("here first")
    monkeypatch.setenv("PERSONA_HOME", str(tmp_path / "file"))
    said = _refused(_persona(*command))
    assert said.startswith(f"The home {tmp_path}/file cannot be written (")
    assert "set PERSONA_HOME" in said
    assert (tmp_path / "file").read_text() == "here first"


@pytest.mark.parametrize("who", ["987654321", "nobody@example.org", "", "1 OR 1=1", "%"])
def test_a_trace_of_an_unknown_customer_ends_with_2(at_home, who):
    assert f"No customer has the id or the address {who!r}: " in _refused(_persona("trace", who))


def test_a_run_that_fails_ends_with_1_and_its_message(monkeypatch):
    def fail(*_):
        raise PersonaError("The run stopped.")

    monkeypatch.setattr(job, "run", fail)
    result = _persona("run")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "Error: The run stopped.\n")


def test_a_run_that_is_interrupted_ends_with_130_and_says_how_to_go_on(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "run", interrupt)
    result = _persona("run")
    assert (result.exit_code, result.stdout) == (130, "")
    assert "run again to go on" in result.stderr and "Traceback" not in result.stderr


# One run at a time


def test_a_second_run_waits_and_then_says_who_is_writing(make_source, tmp_path):
    settings = load_settings(home=tmp_path / "home", source=make_source())
    prepare_home(settings)
    environment = {**os.environ, "PERSONA_HOME": str(settings.home), "PERSONA_LOCK_SECONDS": "0.2"}
    with job._only_run(settings):
        second = subprocess.run(
            [*PROCESS, "run", "--source", str(settings.source)],
            env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert settings.home.joinpath("run.holder").exists()
    assert second.returncode == 2
    assert second.stdout == ""
    assert re.fullmatch(
        rf"Another run is writing to {settings.home} \(process {os.getpid()}, .*\): "
        rf"waiting up to .* seconds\.\n"
        rf"Error: Another run is writing to {settings.home} "
        rf"\(process {os.getpid()}, .*, since \d\d:\d\d:\d\d\): wait .* or stop it\.\n",
        second.stderr,
    )
    assert not settings.warehouse_file.exists()


def test_a_second_run_waits_as_long_as_it_was_told(tmp_path):
    settings = load_settings(home=tmp_path, lock_seconds=0.3)
    with job._only_run(settings):
        start = time.monotonic()
        with pytest.raises(InputError, match="Another run is writing"):
            job.run(settings, ["en"], None)
        assert 0.3 <= time.monotonic() - start < 10


def test_a_second_run_goes_on_when_the_first_has_finished(tmp_path, make_source, monkeypatch):
    settings = load_settings(home=tmp_path / "home", source=make_source(), lock_seconds=30)
    prepare_home(settings)
    monkeypatch.setattr(job._Job, "execute", lambda *_, **__: None)
    monkeypatch.setattr(job, "_summarize", lambda *_: "went on")
    monkeypatch.setattr(job._Job, "estimate", lambda *_: "nothing")
    held, finished = threading.Event(), threading.Event()

    def first() -> None:
        with job._only_run(settings):
            held.set()
            finished.wait(30)

    thread = threading.Thread(target=first)
    thread.start()
    assert held.wait(30)
    threading.Timer(0.2, finished.set).start()
    try:
        assert job.run(settings, ["en"], None) == "went on"
        assert finished.is_set()
    finally:
        finished.set()
        thread.join()
    assert not settings.home.joinpath("run.holder").exists()


def test_a_warehouse_that_another_program_has_open_is_named_with_that_program(home, monkeypatch):
    monkeypatch.setenv("PERSONA_HOME", str(home.home))
    monkeypatch.setenv("PERSONA_LOCK_SECONDS", "0.2")
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(home.warehouse_file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout.readline() == "open\n"
        said = _refused(_persona("trace", "1"))
        examined = _persona("doctor")
        other.communicate("\n")
    assert f"held by process {other.pid} (" in said and "python" in said
    assert examined.exit_code == 1
    assert re.search(rf"^FAIL  warehouse .*held by process {other.pid} ", examined.stdout, re.M)
    assert _persona("trace", "1").exit_code == 0


# run


@pytest.fixture(scope="module")
def finished_process(shop: Path, tmp_path_factory: pytest.TempPathFactory):
    """`persona run --json` as a process of its own, and the home that it filled."""
    home = tmp_path_factory.mktemp("process") / "home"
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PERSONA_", "DAGSTER_"))
    }
    done = subprocess.run(
        [*PROCESS, "run", "--json", "--source", str(shop), "--customers", "3", "--language", "en"],
        env=environment | {"PERSONA_HOME": str(home), "PERSONA_K_MAX": "2"},
        cwd=home.parent, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done, home


def test_run_with_json_prints_one_object_and_nothing_else_on_stdout(finished_process):
    done, home = finished_process
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1 and done.stdout.endswith("\n")
    summary = json.loads(done.stdout)
    assert summary["rows"]["users"] == CUSTOMERS
    assert (summary["emails"], summary["emails_total"]) == ({"en": 3}, 3)
    assert summary["warehouse"] == str(home / "warehouse.duckdb")
    assert all(Path(page).is_file() for page in summary["reports"])
    assert summary["example"] is not None


def test_run_shows_its_progress_and_the_summary_on_stderr_without_an_address(finished_process):
    said = finished_process[0].stderr
    assert re.search(r"^parametric +400 rows", said, re.M)
    assert re.search(r"^emails\[en\] +3 rows", said, re.M)
    assert re.search(r"^3 e-mails on \d{4}-\d\d-\d\d in ", said, re.M)
    assert "Traceback" not in said and "@" not in said


def test_run_writes_nothing_outside_the_home(finished_process):
    _, home = finished_process
    assert [path.name for path in home.parent.iterdir()] == ["home"]


def test_run_passes_its_options_on(monkeypatch, tmp_path):
    seen = []

    def look(settings, languages, customers):
        seen.append((str(settings.source), str(settings.as_of), languages, customers))
        raise PersonaError("seen")

    monkeypatch.setattr(job, "run", look)
    _persona("run", "--source", "a", "--as-of", "2025-01-31", "--customers", "5",
             "--language", "fr", "--language", "ar")  # fmt: skip
    monkeypatch.setenv("PERSONA_SOURCE", "b")
    _persona("run")
    assert seen == [
        ("a", "2025-01-31", ["ar", "fr"], 5),
        ("b", "None", [*LANGUAGES], None),
    ]


# trace


def test_trace_finds_a_customer_by_id_and_by_address_in_any_case(at_home):
    user_id, address, subject = _customer(at_home, "language = 'de'")
    by_id = _persona("trace", str(user_id))
    assert (by_id.exit_code, by_id.stderr) == (0, "")
    assert by_id.stdout.startswith(f"Customer {user_id}: ")
    assert f"  Subject    {subject}\n" in by_id.stdout
    for who in (address, f" {address.upper()} "):
        assert _persona("trace", who).stdout == by_id.stdout


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_trace_masks_the_address_that_it_was_asked_for(at_home, form):
    _, address, _ = _customer(at_home, "language = 'en'")
    shown = _persona("trace", address, *form)
    assert shown.exit_code == 0
    assert f"{address[0]}…@{address.split('@')[1]}" in shown.stdout
    assert address.lower() not in shown.stdout.lower()


def test_trace_with_json_is_one_array_with_every_part(at_home):
    user_id, _, subject = _customer(at_home, "segment = 'seg_1'")
    shown = _persona("trace", str(user_id), "--json")
    assert shown.stdout.count("\n") == 1
    (found,) = json.loads(shown.stdout)
    assert found["customer"]["user_id"] == user_id
    assert found["email"]["subject"] == subject
    assert found["segment"]["segment"] == "seg_1"
    assert found["orders"] and found["prompt"]["prompt"]


def test_trace_of_an_address_that_two_share_shows_both(at_home):
    with duckdb.connect(at_home.warehouse_file) as connection:
        address, ids = connection.execute(
            "SELECT LOWER(email), LIST(user_id ORDER BY user_id) FROM persona.parametric "
            "WHERE email IS NOT NULL GROUP BY 1 HAVING COUNT(*) > 1 ORDER BY 1 LIMIT 1"
        ).fetchone()
    assert len(ids) > 1
    found = json.loads(_persona("trace", address, "--json").stdout)
    assert [one["customer"]["user_id"] for one in found] == ids
    assert re.findall(r"^Customer (\d+):", _persona("trace", address).stdout, re.M) == [
        str(user_id) for user_id in ids
    ]


# doctor


def _findings(result: Result) -> dict[str, tuple[str, str]]:
    lines = re.findall(r"^(ok|FAIL) +(\w+) +(.*)$", result.stdout, re.M)
    return {what: (state, said) for state, what, said in lines}


def test_doctor_on_a_fresh_machine_finds_all_well_and_makes_nothing(tmp_path):
    result = _persona("doctor")
    assert (result.exit_code, result.stderr) == (0, "")
    findings = _findings(result)
    assert {state for state, _ in findings.values()} == {"ok"}
    assert findings["settings"][1] == "none set: every default is in force"
    assert findings["home"][1] == f"{tmp_path}/.persona, made by the first run"
    assert findings["source"][1].startswith("the sample shop, 10,000 customers")
    assert "not there yet: `persona run` makes it" in findings["warehouse"][1]
    assert findings["suppression"][1].startswith("no list: PERSONA_SUPPRESSION_LIST is not set")
    assert "PERSONA_POSTAL_ADDRESS" in findings["sender"][1]
    assert list(tmp_path.iterdir()) == []


def test_doctor_on_a_finished_home_sees_its_tables_and_its_source(at_home, monkeypatch):
    monkeypatch.setenv("PERSONA_SOURCE", str(at_home.source))
    before = _everything(at_home.home)
    result = _persona("doctor")
    assert result.exit_code == 0, result.output
    findings = _findings(result)
    assert findings["home"] == ("ok", str(at_home.home))
    assert findings["source"] == (
        "ok", f"{at_home.source}: users, orders, order_items, products, events"
    )  # fmt: skip
    tables = re.fullmatch(rf"{at_home.warehouse_file}: (\d+) tables in persona",
                          findings["warehouse"][1])  # fmt: skip
    with duckdb.connect(at_home.warehouse_file) as connection:
        expected = connection.execute(
            "SELECT COUNT(*) FROM duckdb_tables() WHERE schema_name = 'persona'"
        ).fetchone()
    assert int(tables[1]) == expected[0] > 5
    assert _everything(at_home.home) == before


def test_doctor_says_what_is_set(monkeypatch):
    monkeypatch.setenv("PERSONA_SHOP_NAME", "Corner Shop")
    findings = _findings(_persona("doctor"))
    assert findings["settings"][1] == "PERSONA_SHOP_NAME=Corner Shop"
    assert "PERSONA_SHOP_NAME" not in findings["sender"][1]


def test_doctor_ends_with_1_and_every_problem_of_a_broken_source(make_source, monkeypatch):
    source = make_source(events=[])
    (source / "orders.parquet").unlink()
    monkeypatch.setenv("PERSONA_SOURCE", str(source))
    result = _persona("doctor")
    assert result.exit_code == 1
    assert f"FAIL  source       {source}: table orders is missing" in result.stdout
    assert f"\n{' ' * 19}{source}/events.parquet: table events is empty.\n" in result.stdout
    assert [what for what, (state, _) in _findings(result).items() if state == "FAIL"] == ["source"]


@pytest.mark.parametrize("home", ["file", "file/below"])
def test_doctor_ends_with_1_where_the_home_cannot_be_written(tmp_path, monkeypatch, home):
    (tmp_path / "file").write_text("here first")
    monkeypatch.setenv("PERSONA_HOME", home)
    result = _persona("doctor")
    assert result.exit_code == 1
    assert _findings(result)["home"] == (
        "FAIL", f"{tmp_path}/{home} cannot be written: set PERSONA_HOME"
    )  # fmt: skip


def test_doctor_ends_with_1_where_the_warehouse_is_no_warehouse(tmp_path, monkeypatch):
    (tmp_path / "warehouse.duckdb").write_text("a letter to my aunt")
    monkeypatch.setenv("PERSONA_HOME", str(tmp_path))
    result = _persona("doctor")
    assert result.exit_code == 1
    assert _findings(result)["warehouse"][0] == "FAIL"
    assert (tmp_path / "warehouse.duckdb").read_text() == "a letter to my aunt"


# dev


def test_dev_opens_dagster_on_the_home_with_the_options_given(tmp_path, monkeypatch):
    called = []
    monkeypatch.setenv("DAGSTER_HOME", "elsewhere")  # so that it is put back afterwards
    monkeypatch.setenv("PERSONA_HOME", "home")
    monkeypatch.setattr(os, "execv", lambda program, command: called.append(command))
    result = _persona("dev", "--port", "3001")
    assert result.exit_code == 0, result.output
    ((program, *rest),) = called
    assert Path(program).name == "dagster"
    assert rest == ["dev", "-m", "persona_assets.definitions", "--port", "3001"]
    assert os.environ["DAGSTER_HOME"] == f"{tmp_path}/home/dagster"
    assert os.environ["PERSONA_HOME"] == f"{tmp_path}/home"
    assert (tmp_path / "home" / "dagster" / "dagster.yaml").is_file()
