"""The formats, read back by the standard library: nothing is lost and nothing gets in."""

import csv
import json
import re
from datetime import datetime
from email import message_from_bytes
from email.policy import default
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.export.formats import FORMATS, SES_DESTINATIONS, is_formula, message
from persona_assets.export.letters import Letter, one_line
from persona_assets.languages import LANGUAGES
from persona_assets.text import printable

from .conftest import SENT_AT, Shop

HOSTILE = [
    {"user_id": 1, "subject": "Hi\r\nBcc: a@evil.example\r\n\r\n<script>", "first_name": "A\r\nB"},
    {"user_id": 2, "subject": "=cmd|' /C calc'!A0", "preheader": "@SUM(1)", "first_name": "-Ann"},
    {"user_id": 3, "subject": '{{ 7*7 }} {{subject}} "\\', "preheader": "\u2028\x85\x0b\x00\ttab"},
    {"user_id": 4, "subject": "é" * 50, "first_name": "葵", "body": "•\n.\n..\nFrom me\n--x\n" * 9},
    {"user_id": 5, "subject": "{% raw %}", "body": "x" * 3000 + "\n\n" + "日本" * 900},
    {"user_id": -6, "subject": "\u202eabc", "first_name": '"><img src=x onerror=y>'},
]


def _eml(shop: Shop, language: str = "en") -> dict[str, bytes]:
    shop.export("eml", language)
    return {file.name: file.read_bytes() for file in (shop.out / f"emails-{language}").iterdir()}


def _content(part) -> str:
    return part.get_content().replace("\r\n", "\n")


def _csv(file) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text, strict=True))


def _jsonl(file) -> list[dict]:
    text = file.read_bytes()
    assert text.endswith(b"\n") and text.isascii()
    return [json.loads(line) for line in text.decode().splitlines()]


# eml


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_message_is_read_back_whole(shop, language):
    (row,) = shop.write({"user_id": 7, "language": language})
    (raw,) = _eml(shop, language).values()
    read = message_from_bytes(raw, policy=default)
    assert not read.defects and not any(part.defects for part in read.walk())
    assert read.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in read.iter_parts()] == ["text/plain", "text/html"]
    text, html = map(_content, read.iter_parts())
    assert text.rstrip("\n") == row["marketing_email"].rstrip("\n")
    assert html.rstrip("\n") == row["html"].rstrip("\n")
    assert read["Subject"] == row["subject"]
    assert read["To"].addresses[0].addr_spec == row["email"]
    assert read["To"].addresses[0].display_name == "Camille"
    assert str(read["From"]) == "theLook <news@shop.example>"
    assert read["Date"].datetime == SENT_AT


def test_a_message_offers_to_unsubscribe_with_one_click(shop):
    (row,) = shop.write({"user_id": 7})
    (raw,) = _eml(shop).values()
    read = message_from_bytes(raw, policy=default)
    assert read["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = re.fullmatch(r"<(https://shop\.example/unsubscribe\?token=[\w-]{32})>",
                        read["List-Unsubscribe"])[1]  # fmt: skip
    assert link in row["marketing_email"] and f'href="{link}"' in row["html"]


def test_a_message_has_an_id_of_its_own_that_stays_and_names_nobody(shop):
    shop.write({"user_id": 7}, {"user_id": 8})
    before = _eml(shop)
    ids = [message_from_bytes(raw)["Message-ID"] for raw in before.values()]
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"<[0-9a-f]{32}@shop\.example>", one) for one in ids)
    assert _eml(shop) == before


def test_a_message_is_ascii_with_short_lines_and_line_breaks_of_mail(shop):
    shop.write(*HOSTILE)
    for raw in _eml(shop).values():
        assert raw.isascii()
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
        assert max(map(len, raw.split(b"\r\n"))) <= 150


def test_nothing_that_customers_or_drafts_hold_becomes_a_header(shop):
    rows = shop.write(*HOSTILE)
    messages = _eml(shop)
    expected = ["From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe",
                "List-Unsubscribe-Post", "MIME-Version", "Content-Type"]  # fmt: skip
    for row in rows:
        raw = messages[f"{row['user_id']}.eml"]
        read = message_from_bytes(raw, policy=default)
        assert read.keys() == expected
        assert read["Subject"] == one_line(row["subject"])
        assert getaddresses([message_from_bytes(raw)["To"]])[0][1] == row["email"]
        assert len(list(read.iter_parts())) == 2 and not read.defects
        text, html = map(_content, read.iter_parts())
        assert text.rstrip("\n") == printable(row["marketing_email"]).rstrip("\n")
        # As a parser reads it: a carriage return alone ends a line.
        assert html.split() == row["html"].split()


_LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))


class _Desk:
    sender, date = "Shop <news@shop.example>", "Sat, 01 Feb 2025 09:30:00 +0000"


@given(_LINES, _LINES)
def test_every_text_is_read_back_as_it_was(text, html):
    letter = Letter(1, "ana@example.org", None, "Hi", "", text, html, "https://shop.example/?token=t",
                    f"<{'ab' * 16}@shop.example>", {})  # fmt: skip
    raw = message(letter, _Desk)
    assert raw.isascii() and max(map(len, raw.split(b"\r\n"))) <= 78
    parts = message_from_bytes(raw, policy=default).iter_parts()
    read = [part.get_payload(decode=True).decode().replace("\r\n", "\n") for part in parts]
    assert read == [text.removesuffix("\n"), html.removesuffix("\n")]


def test_a_header_that_would_not_stay_one_is_never_written():
    letter = Letter(1, "a@example.org\r\nBcc: b@example.org", None, "Hi", "", "", "", "https://s.e",
                    "<x@shop.example>", {})  # fmt: skip
    with pytest.raises(ValueError, match="^To of the e-mail to customer 1 is no header"):
        message(letter, _Desk)


# jsonl


def test_a_json_line_holds_everything(shop):
    rows = {row["user_id"]: row for row in shop.write(*HOSTILE)}
    shop.export("jsonl")
    found = _jsonl(shop.out / "emails-en.jsonl")
    assert sorted(one["user_id"] for one in found) == sorted(rows)
    for one in found:
        row = rows[one["user_id"]]
        assert one["html"] == row["html"] and one["subject"] == one_line(row["subject"])
        assert one["text"] == printable(row["marketing_email"])
        assert one["headers"]["List-Unsubscribe"] == f"<{one['unsubscribe']}>"
        assert one["unsubscribe"] in one["text"]
        assert one["from"] == "theLook <news@shop.example>" and one["email"] == row["email"]
        assert datetime.fromisoformat(one["written_at"]) == row["written_at"]
        papers = ("language", "country", "segment", "lifecycle", "prompt_hash", "writer",
                  "attempt", "segmentation_run", "run_id")  # fmt: skip
        assert {name: one[name] for name in papers} == {name: row[name] for name in papers}


# csv


def test_a_csv_is_read_back_and_no_cell_is_a_formula(shop):
    rows = {str(row["user_id"]): row for row in shop.write(*HOSTILE)}
    shop.export("csv")
    found = _csv(shop.out / "emails-en.csv")
    assert {one["user_id"] for one in found} == {*rows}
    for one in found:
        row = rows[one["user_id"]]
        assert one["email"] == row["email"] and one["html"] == row["html"]
        assert one["subject"].removeprefix("'") == one_line(row["subject"])
        assert one["text"].removeprefix("'") == printable(row["marketing_email"])
        assert not any(is_formula(cell) for column, cell in one.items() if column != "user_id")


def test_a_csv_has_the_line_breaks_of_rfc_4180_outside_of_quotes(shop):
    shop.write({"user_id": 1}, {"user_id": 2})
    shop.export("csv")
    raw = (shop.out / "emails-en.csv").read_bytes().decode()
    unquoted = re.sub(r'"[^"]*"', "", raw)
    assert unquoted.count("\r\n") == unquoted.count("\n") == 3
    assert raw.startswith("email,name,user_id,")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_what_a_spreadsheet_would_compute_is_a_formula(start):
    assert is_formula(f"{start}1") and not is_formula(f"1{start}")


@pytest.mark.parametrize("form", ["csv", "listmonk"])
def test_an_address_that_is_a_formula_is_left_out_rather_than_changed(shop, form):
    shop.write(*({"user_id": i, "email": f"{c}a@example.org"} for i, c in enumerate("=+-x'")))
    summary = shop.export(form)
    assert summary.emails == {"en": 2}
    assert summary.left_out == {"at an address that a spreadsheet takes for a formula": 3}
    assert shop.export("eml").emails == {"en": 5}


# listmonk


def test_listmonk_gets_subscribers_and_a_request_for_each(shop):
    rows = {row["email"]: row for row in shop.write(*HOSTILE)}
    shop.export("listmonk", template_id=5)
    subscribers = _csv(shop.out / "listmonk-en" / "subscribers.csv")
    requests = _jsonl(shop.out / "listmonk-en" / "tx.jsonl")
    assert [*subscribers[0]] == ["email", "name", "attributes"]
    assert {one["email"] for one in subscribers} == {*rows} and len(requests) == len(rows)
    for one in subscribers:
        attributes = json.loads(one["attributes"])
        assert attributes["user_id"] == rows[one["email"]]["user_id"]
        assert attributes["unsubscribe"] in rows[one["email"]]["marketing_email"]
        assert not is_formula(one["name"])
    for request in requests:
        (address,) = request["subscriber_emails"]
        row, headers = rows[address], request["headers"]
        assert request["template_id"] == 5 and request["content_type"] == "html"
        assert request["data"]["html"] == row["html"]
        assert [*headers[0]] == ["List-Unsubscribe"]
        assert headers[1] == {"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
        # Only constant expressions where listmonk runs template expressions.
        constant = {"subject": "{{ .Tx.Data.subject }}", "altbody": "{{ .Tx.Data.text }}"}
        assert {name: request[name] for name in constant} == constant


def test_without_a_template_listmonk_is_told_of_none(shop):
    shop.write({"user_id": 1})
    shop.export("listmonk")
    (request,) = _jsonl(shop.out / "listmonk-en" / "tx.jsonl")
    assert "template_id" not in request


# ses


def test_ses_gets_fifty_destinations_a_request(shop):
    rows = {row["email"]: row for row in shop.write(*({"user_id": i} for i in range(101)))}
    shop.export("ses")
    requests = _jsonl(shop.out / "ses-en.jsonl")
    assert [len(one["BulkEmailEntries"]) for one in requests] == [50, 50, 1]
    assert SES_DESTINATIONS == 50
    for request in requests:
        template = request["DefaultContent"]["Template"]
        assert template["TemplateContent"] == {
            "Subject": "{{subject}}", "Text": "{{text}}", "Html": "{{html}}"
        }  # fmt: skip
        assert json.loads(template["TemplateData"]) == {}
        assert request["FromEmailAddress"] == "theLook <news@shop.example>"
        assert len(json.dumps(request)) < 1_000_000
        for entry in request["BulkEmailEntries"]:
            row = rows.pop(entry["Destination"]["ToAddresses"][0])
            content = entry["ReplacementEmailContent"]["ReplacementTemplate"]
            data = json.loads(content["ReplacementTemplateData"])
            assert (data["subject"], data["html"]) == (row["subject"], row["html"])
            link, post = entry["ReplacementHeaders"]
            assert link["Name"] == "List-Unsubscribe"
            assert link["Value"].strip("<>") in row["marketing_email"]
            assert post == {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"}
            # What SES allows in a header that is added.
            assert re.fullmatch(r"[ -~]{1,870}", link["Value"])
    assert rows == {}


def test_a_request_to_ses_stays_below_its_megabyte(shop):
    shop.write(*({"user_id": i, "body": "日本語" * 20_000} for i in range(9)))
    shop.export("ses")
    requests = _jsonl(shop.out / "ses-en.jsonl")
    assert len(requests) > 1 and sum(len(one["BulkEmailEntries"]) for one in requests) == 9


def test_a_long_shop_name_is_one_line_in_json(make_shop):
    shop = make_shop(shop_name="Café " * 30)
    shop.write({"user_id": 1})
    for form, file, name in (("jsonl", "emails-en.jsonl", "from"),
                             ("ses", "ses-en.jsonl", "FromEmailAddress")):  # fmt: skip
        shop.export(form)
        (one,) = _jsonl(shop.out / file)
        assert one[name].isascii() and "\n" not in one[name]
        assert one[name].endswith(" <news@shop.example>")


def test_every_format_is_offered_by_the_command():
    from persona_assets.cli import export

    (option,) = (p for p in export.params if p.name == "format_name")
    assert [*option.type.choices] == [*FORMATS]
