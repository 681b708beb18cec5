"""The suppression list: read whole or refused, and nobody on it is written to."""

from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persona_assets import doctor, run
from persona_assets.doctor import examine
from persona_assets.errors import InputError
from persona_assets.settings import load_settings
from persona_assets.suppression import read_suppression_list, suppression_file
from persona_assets.warehouse import DuckDBWarehouse, read_query

from .conftest import MINIMAL, moment


@pytest.fixture
def written(tmp_path):
    """A CSV with this text."""

    def write(text: str) -> Path:
        file = tmp_path / "list.csv"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def row(user_id=None, email=None, reason="not given", since=None):
    return {"user_id": user_id, "email": email, "reason": reason, "since": since}


def said_by_the_doctor(**given) -> tuple[bool, str]:
    (found,) = (one for one in examine(load_settings(**given)) if one.what == "suppression")
    return found.ok, found.said


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("email\nAna@Example.org \n", [row(email="ana@example.org")]),
        ("\ufeffuser_id\n7\n7\n", [row(7), row(7)]),
        (
            "Email;USER_ID;Reason;Date\n;7;bounced;2024-05-01\na@b;;;\n",
            [row(7, None, "bounced", date(2024, 5, 1)), row(None, "a@b")],
        ),
        ("user_id,email,date\n7,a@b,2024-05-01T10:00\n", [row(7, "a@b", since=date(2024, 5, 1))]),
        ("email,note\n", []),
        ("", []),
    ],
)  # fmt: skip
def test_a_csv_is_read_by_the_names_of_its_columns(written, text, rows):
    assert read_suppression_list(written(text)) == rows


def test_a_parquet_file_says_the_same(tmp_path):
    table = pa.table({"user_id": [7, None], "email": [None, "A@b"],
                      "date": [datetime(2024, 5, 1), None]})  # fmt: skip
    pq.write_table(table, tmp_path / "list.parquet")
    assert read_suppression_list(tmp_path / "list.parquet") == [
        row(7, since=date(2024, 5, 1)),
        row(email="a@b"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("address\na@b\n", "neither a column email nor a column user_id"),
        ("email,user_id\na@b,\n,\n", "row 2: neither email nor user_id"),
        ("user_id\nseven\n", "row 1: user_id 'seven' is no whole number"),
        ("email\nana\n", "row 1: email 'ana' is no address"),
        ("email,date\na@b,yesterday\n", "row 1: date 'yesterday' is not YYYY-MM-DD"),
        ("user_id\n" + "x\n" * 9, "and 4 more"),
    ],
)
def test_a_list_that_is_not_wholly_understood_is_refused(written, text, said):
    with pytest.raises(InputError, match=said):
        read_suppression_list(written(text))


@pytest.mark.parametrize("content", [b"email\n\xff\xfe@x\n", None])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, content):
    file = tmp_path / ("list.csv" if content else "list.parquet")
    file.write_bytes(content or b"no parquet")
    with pytest.raises(InputError, match="cannot be read"):
        read_suppression_list(file)


def test_a_list_that_is_set_and_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="PERSONA_SUPPRESSION_LIST"):
        suppression_file(load_settings(suppression_list=tmp_path / "none.csv"))


def test_the_list_beside_the_source_is_found(make_source):
    source = make_source()
    settings = load_settings(source=source)
    assert suppression_file(settings) is None
    (source / "suppression_list.csv").write_text("email\n")
    assert suppression_file(settings) == source / "suppression_list.csv"


CUSTOMERS = [
    MINIMAL["users"][0] | {"id": n, "email": f"c{n}@example.org", "marketing_consent": wants}
    for n, wants in enumerate([True, False, None, True])
]


def prompted(settings) -> set[int]:
    found = DuckDBWarehouse(settings.warehouse_file)
    with found.connect() as connection:
        rows = connection.execute("SELECT user_id FROM persona.emails").fetchall()
    return {user_id for (user_id,) in rows}


def test_without_consent_nobody_is_written_to_when_the_shop_asks_for_it(tmp_path, make_source):
    source = make_source(users=CUSTOMERS)
    asked = load_settings(home=tmp_path / "asked", source=source, consent=True)
    run.run(asked, ["es"], None)
    assert prompted(asked) == {0, 3}
    reasons = DuckDBWarehouse(asked.warehouse_file).read(read_query("without_consent"), {})
    assert sorted(reasons["user_id"].to_pylist()) == [1, 2]
    not_asked = load_settings(home=tmp_path / "not-asked", source=source)
    run.run(not_asked, ["es"], None)
    assert prompted(not_asked) == {0, 1, 2, 3}


def test_a_shop_that_asks_and_has_no_column_is_told(tmp_path, shop):
    settings = load_settings(home=tmp_path / "home", source=shop, consent=True)
    with pytest.raises(InputError, match="table users has no column marketing_consent"):
        run.run(settings, ["es"], None)


def test_a_customer_who_unsubscribes_is_not_written_to_from_the_next_run_on(tmp_path, make_source):
    source = make_source(users=CUSTOMERS)
    settings = load_settings(home=tmp_path / "home", source=source)
    run.run(settings, ["es"], None)
    (source / "suppression_list.csv").write_text("email,reason\nC2@example.org,unsubscribed\n")
    run.run(settings, ["es"], None)
    assert prompted(settings) == {0, 1, 3}


def test_the_holdout_gets_no_email(tmp_path, make_source):
    users = [CUSTOMERS[0] | {"id": n, "email": f"c{n}@example.org"} for n in range(60)]
    orders = [{"order_id": n, "user_id": n, "status": "Complete",
               "created_at": moment("2024-06-01T12:00")} for n in range(60)]  # fmt: skip
    source = make_source(users=users, orders=orders)
    settings = load_settings(home=tmp_path / "home", source=source, holdout=0.3)
    summary = run.run(settings, ["es"], None)
    assert 5 < 60 - summary.emails_total < 35
    assert summary.left_out == 0


def test_the_doctor_reads_the_list_and_says_where_it_found_none(written, make_source):
    source = make_source()
    assert said_by_the_doctor(source=source)[1].endswith("suppression_list in the source folder")
    (source / "suppression_list.csv").write_text("user_id\n7\n8\n")
    assert said_by_the_doctor(source=source) == (True, f"{source}/suppression_list.csv: 2 rows")
    broken = written("user_id\nseven\n")
    fine, said = said_by_the_doctor(source=source, suppression_list=broken)
    assert not fine and said.startswith(f"The suppression list {broken}: row 1")


def test_the_doctor_says_that_a_source_in_bigquery_holds_no_list(monkeypatch):
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr(doctor, "_HURRY", {"request_seconds": 0.1, "patience_seconds": 0.1})
    fine, said = said_by_the_doctor(warehouse="bigquery", bigquery_project="p")
    assert fine and "a source in BigQuery is not looked into" in said
