"""The export as a whole: who is left out, what is on the disk when it stops, what it says."""

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from click.testing import CliRunner
from filelock import FileLock

from persona_assets import schemas
from persona_assets.cli import main
from persona_assets.copywriting.unsubscribe import load_tokens
from persona_assets.errors import InputError, PersonaError, WarehouseBusy
from persona_assets.export import formats, job
from persona_assets.export.formats import FORMATS
from persona_assets.export.letters import Desk

from .conftest import Shop

every_format = pytest.mark.parametrize("form", FORMATS)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != ".export.lock"
    }


# Who is left out


@every_format
def test_who_is_on_the_suppression_list_by_now_is_in_no_file(shop, form):
    shop.write(*({"user_id": i, "email": f"Ana{i}@Example.org"} for i in range(1, 6)))
    shop.suppress(
        {"user_id": 2}, {"email": "ana3@example.org"}, {"user_id": 4, "email": "ana4@example.org"},
        {"user_id": 99, "email": "nobody@example.org"}, {},
    )  # fmt: skip
    summary = shop.export(form)
    assert summary.emails == {"en": 2}
    assert summary.left_out == {"on the suppression list": 3}
    everything = b"".join(_files(shop.out).values())
    for i in range(1, 6):
        assert (f"Ana{i}@Example.org".encode() in everything) == (i in (1, 5))


def test_another_customer_at_a_suppressed_customers_address_is_left_out_too(shop):
    shop.write({"user_id": 1, "email": "Shared@example.org"}, {"user_id": 2})
    other = dict.fromkeys(schemas.columns(schemas.parametric))
    shop.load("parametric", [other | {"user_id": 7, "email": "shared@example.org"}])
    shop.suppress({"user_id": 7})
    summary = shop.export("jsonl")
    assert (summary.emails, summary.left_out) == ({"en": 1}, {"on the suppression list": 1})


def test_who_has_no_prompt_any_more_or_another_address_is_left_out(shop):
    shop.write(
        {"user_id": 1},
        {"user_id": 2, "prompt": None},
        {"user_id": 3, "prompt": {"email": "new@example.org"}},
        {"user_id": 4, "prompt": {"language": "fr"}},
        {"user_id": 5, "prompt": {"holdout": True}},
    )
    summary = shop.export("jsonl")
    assert summary.emails == {"en": 1}
    assert summary.left_out == {"no longer written to, or not at this address": 4}


def test_addresses_that_no_server_takes_are_left_out_and_counted(shop):
    shop.write(
        {"user_id": 1, "email": "<script>@example.org"},
        {"user_id": 2, "email": "jürgen@example.org"},
        {"user_id": 3, "email": "ana@straße.example"},
    )
    summary = shop.export("eml")
    assert summary.left_out == {"at an address that no mail server takes": 2}
    (file,) = (shop.out / "emails-en").iterdir()
    assert b"<ana@xn--strae-oqa.example>" in file.read_bytes()


def test_languages_have_files_of_their_own(shop):
    shop.write({"user_id": 1, "language": "fr"}, {"user_id": 2, "language": "ja"}, {"user_id": 3})
    summary = shop.export("jsonl", "fr", "ja", "ko")
    assert summary.emails == {"fr": 1, "ja": 1, "ko": 0} and summary.emails_total == 2
    assert [*_files(shop.out)] == ["emails-fr.jsonl", "emails-ja.jsonl"]
    assert summary.files == {
        language: str(shop.out / f"emails-{language}.jsonl") for language in ("fr", "ja")
    }
    assert "Korean           none  no e-mails in this language" in job.as_text(summary)


# What is refused


@pytest.mark.parametrize("absent", ["emails", "final_prompts", "parametric", "suppression_list"])
def test_before_a_run_the_next_step_is_named(shop, absent):
    for table in {"emails", "final_prompts", "parametric", "suppression_list"} - {absent}:
        shop.load(table, [])
    with pytest.raises(InputError, match=f"no table .*{absent} yet: run `persona run` first"):
        shop.export("eml")
    assert not shop.out.exists()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("unsubscribe_key", "another"), ("unsubscribe_url", "https://shop.example/other"),
     ("shop_url", "https://other.example"), ("postal_address", "Elsewhere"),
     ("shop_name", "Another")],
)  # fmt: skip
def test_emails_made_with_another_sender_are_refused(make_shop, setting, value):
    shop = make_shop()
    shop.write({"user_id": 1})
    changed = make_shop(**{setting: value})
    with pytest.raises(InputError, match="in en were made with other values of .*persona run"):
        changed.export("eml")
    assert _files(shop.out) == {}


def test_a_folder_with_other_things_in_it_is_not_replaced(shop):
    shop.write({"user_id": 1})
    (shop.out / "emails-en").mkdir(parents=True)
    (shop.out / "emails-en" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="thesis.txt is not from an earlier export"):
        shop.export("eml")
    (shop.out / "emails-en.csv").mkdir()
    with pytest.raises(InputError, match="emails-en.csv is not from an earlier export"):
        shop.export("csv")
    assert _files(shop.out) == {"emails-en/thesis.txt": b"mine"}


def test_a_folder_that_cannot_be_written_is_named(shop, tmp_path):
    shop.write({"user_id": 1})
    (tmp_path / "file").write_text("here first")
    with pytest.raises(InputError, match=f"^The folder {tmp_path}/file/out cannot be written"):
        shop.export("eml", out=tmp_path / "file" / "out")


def test_one_export_at_a_time_writes_to_a_folder(shop):
    shop.write({"user_id": 1})
    shop.out.mkdir()
    with FileLock(shop.out / ".export.lock"):
        with pytest.raises(WarehouseBusy, match="Another export is writing to"):
            shop.export("eml")
    assert shop.export("eml").emails == {"en": 1}


# What is on the disk


@every_format
def test_an_export_replaces_the_one_before(shop, form):
    shop.write({"user_id": 1}, {"user_id": 2})
    shop.export(form)
    first = _files(shop.out)
    shop.export(form)
    assert _files(shop.out) == first
    shop.suppress({"user_id": 1})
    shop.export(form)
    assert b"customer1@" not in b"".join(_files(shop.out).values())
    shop.suppress({"user_id": 1}, {"user_id": 2})
    summary = shop.export(form)
    assert (summary.emails, summary.files, _files(shop.out)) == ({"en": 0}, {}, {})


@every_format
def test_an_export_that_fails_halfway_leaves_what_was_there(shop, form, monkeypatch):
    shop.write(*({"user_id": i} for i in range(120)))
    shop.export(form, "en")
    before, seen = _files(shop.out), []

    def fail(self, row):
        seen.append(row)
        if len(seen) == 100:
            raise OSError(28, "No space left on device")
        return letter(self, row)

    letter = Desk.letter
    monkeypatch.setattr(Desk, "letter", fail)
    with pytest.raises(PersonaError, match="stopped \\(No space left on device\\)") as stopped:
        shop.export(form, "en")
    assert stopped.value.exit_code == 1
    assert _files(shop.out) == before


@pytest.mark.parametrize("form", ["eml", "csv"])
def test_an_export_that_is_killed_leaves_nothing_that_looks_finished(shop, form):
    shop.write(*({"user_id": i} for i in range(40)))
    code = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from persona_assets.export import job
from persona_assets.export.letters import Desk
from persona_assets.settings import load_settings
from persona_assets.warehouse import DuckDBWarehouse
letter, seen = Desk.letter, []
def kill(self, row):
    seen.append(row)
    if len(seen) == 30:
        os.kill(os.getpid(), signal.SIGKILL)
    return letter(self, row)
Desk.letter = kill
settings = load_settings(home=sys.argv[1], unsubscribe_key="a secret")
job.export(DuckDBWarehouse(settings.warehouse_file), settings, sys.argv[3], ["en"],
           Path(sys.argv[2]), datetime(2025, 2, 1, tzinfo=UTC), print)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(shop.settings.home), str(shop.out), form],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [name for name in os.listdir(shop.out) if not name.startswith(".")] == []
    assert shop.export(form).emails == {"en": 40}
    assert sorted(os.listdir(shop.out)) == [
        ".export.lock", FORMATS[form].target.format(language="en")
    ]  # fmt: skip


def test_memory_does_not_grow_with_the_number_of_emails(shop, monkeypatch):
    monkeypatch.setattr(job, "BATCH", 20)
    monkeypatch.setattr(formats, "SES_DESTINATIONS", 5)

    def peaks(customers: int) -> dict[str, int]:
        shop.write(*({"user_id": i} for i in range(customers)))
        found = {}
        for form in FORMATS:
            shop.export(form)
            tracemalloc.start()
            shop.export(form)
            found[form] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return found

    few, many = peaks(100), peaks(400)
    for form in FORMATS:
        assert many[form] < 1.3 * few[form]


# What is said


def test_progress_is_told_and_the_summary_ends_with_the_path(shop, monkeypatch):
    monkeypatch.setattr(job, "_PROGRESS", 2)
    shop.write(*({"user_id": i} for i in range(5)), {"user_id": 9, "prompt": None})
    text = job.as_text(shop.export("csv", "en", "ko"))
    assert shop.said == [
        "English: 2 e-mails so far", "English: 4 e-mails so far", "English: 5 e-mails",
        "Korean: no e-mails",
    ]  # fmt: skip
    assert text.startswith("5 e-mails exported as csv\n")
    assert "         1  no longer written to, or not at this address\n" in text
    assert text.endswith(f"\n{shop.out}")


# The commands


@pytest.fixture
def persona(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PERSONA_HOME", str(shop.settings.home))
    monkeypatch.setenv("PERSONA_UNSUBSCRIBE_KEY", "a secret")
    return lambda *arguments: CliRunner().invoke(main, [*arguments])


def test_the_command_exports_every_language_and_ends_with_the_path(shop, persona):
    shop.write({"user_id": 1}, {"user_id": 2, "language": "fr"})
    result = persona("export", "--format", "eml")
    exports = shop.settings.home / "exports"
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"\n{exports}\n")
    assert [*_files(exports)] == ["emails-en/1.eml", "emails-fr/2.eml"]
    assert "German: no e-mails\n" in result.stderr and "example.org" not in result.output


def test_the_command_takes_a_language_and_a_folder(shop, persona, tmp_path):
    shop.write({"user_id": 1}, {"user_id": 2, "language": "fr"})
    out = tmp_path / "deep" / "er"
    result = persona("export", "--format", "jsonl", "--language", "fr", "--out", str(out), "--json")
    assert result.stdout.count("\n") == 1
    summary = json.loads(result.stdout)
    assert summary["emails"] == {"fr": 1} and summary["path"] == str(out)
    assert [*_files(out)] == ["emails-fr.jsonl"]


def test_a_sender_at_the_examples_value_is_loudly_warned_of(make_shop, persona, monkeypatch):
    make_shop(shop_name="Atelier").write({"user_id": 1})
    monkeypatch.setenv("PERSONA_SHOP_NAME", "Atelier")
    result = persona("export", "--format", "csv")
    assert result.exit_code == 0
    (said,) = [line for line in result.stderr.splitlines() if line.startswith("WARNING: ")]
    assert "PERSONA_SHOP_URL, PERSONA_FROM_ADDRESS, PERSONA_POSTAL_ADDRESS, PERSONA_UNS" in said
    assert "PERSONA_SHOP_NAME" not in said and "Do not send" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export"], "Missing option '--format'"),
        (["export", "--format", "pst"], "'--format': 'pst' is not one of"),
        (["export", "--format", "eml"], "run `persona run` first."),
        (["unsubscribe"], "Missing argument 'TOKEN'"),
        (["unsubscribe", "abc"], "'abc' is no token of this shop"),
    ],
)
def test_wrong_input_ends_with_2_and_one_message(persona, arguments, said):
    result = persona(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr and result.stderr.count("Error: ") == 1


def test_a_token_is_read_at_the_command_line(shop, persona, monkeypatch):
    token = load_tokens(shop.settings).token(42)
    result = persona("unsubscribe", token)
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"user_id": 42})
    monkeypatch.setenv("PERSONA_UNSUBSCRIBE_KEY", "another secret")
    assert persona("unsubscribe", token).exit_code == 2
