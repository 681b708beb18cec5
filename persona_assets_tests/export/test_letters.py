"""Letters: addresses and headers, whatever customers and products are called."""

import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from email.policy import default
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.copywriting.unsubscribe import Tokens
from persona_assets.errors import InputError
from persona_assets.export.letters import CRLF, Desk, addressed, encoded, mailbox, one_line
from persona_assets.settings import load_settings

TOKENS = Tokens("a secret")


@pytest.mark.parametrize(
    ("address", "mailed"),
    [
        ("ana@example.org", "ana@example.org"),
        (" Ana.B+news@Mail.Example.org\t", "Ana.B+news@Mail.Example.org"),
        ("o'neil!#$%&*/=?^_`{|}~-@example.org", "o'neil!#$%&*/=?^_`{|}~-@example.org"),
        ("ana@straße.example", "ana@xn--strae-oqa.example"),
        ("ana@例え.テスト", "ana@xn--r8jz45g.xn--zckzah"),
        ("a" * 64 + "@" + "b" * 60 + ".example", "a" * 64 + "@" + "b" * 60 + ".example"),
    ],
)
def test_an_address_is_given_as_every_server_takes_it(address, mailed):
    assert mailbox(address) == mailed


@pytest.mark.parametrize(
    "address",
    ["", "@", "ana", "ana@", "@example.org", "ana@localhost", "an a@example.org",
     "ana@exa mple.org", "ana@example.org\r\nBcc: b@example.org", "ana\r\n@example.org",
     "a@b@example.org", "ä@example.org", ".ana@example.org", "ana.@example.org", "a..b@example.org",
     '"a b"@example.org', "a,b@example.org", "<ana@example.org>", "<script>@example.org",
     "ana@-example.org", "ana@example-.org", "ana@example..org", "ana@example.org.",
     "ana@[127.0.0.1]", "ana@ex_ample.org", "a" * 65 + "@example.org",
     "ana@" + "b" * 64 + ".org", "a" * 60 + "@" + "b." * 100 + "org", "ana@\u202eexample.org",
     "ana@\u2028.org", "ana\x00@example.org", "ana@" + "é" * 300 + ".org", "аna@example.org"],
)  # fmt: skip
def test_what_no_server_takes_has_no_mailbox(address):
    assert mailbox(address) is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_mailbox_is_one_token_whatever_the_address(local, domain):
    found = mailbox(f"{local}@{domain}")
    assert found is None or re.fullmatch(r"[!-~]+@[A-Za-z0-9.-]+", found)


def _parsed(name: str, value: str):
    raw = f"{name}: {value}{CRLF}X-End: end{CRLF}{CRLF}".encode("ascii")
    assert all(len(line) <= 78 or b"@" in line for line in raw.split(CRLF.encode()))
    message = BytesHeaderParser(policy=default).parsebytes(raw)
    assert message.keys() == [name, "X-End"]
    return message[name]


@given(st.text(max_size=200).map(one_line))
def test_a_subject_is_read_back_as_it_was_on_lines_that_are_short(subject):
    assert str(_parsed("Subject", encoded(subject, "Subject"))) == subject


@pytest.mark.parametrize(
    "subject",
    ["Plain", "=?utf-8?q?no?=", "=?", "é" * 50, "日本語の件名です" * 6, "x" * 200,
     "a é " * 40 + "b", "😀" * 50, "مرحبا \u2068Indigo Jacket\u2069 بكم",
     "Subject: Bcc: a@example.org"],
)  # fmt: skip
def test_subjects_of_every_script_are_read_back(subject):
    assert str(_parsed("Subject", encoded(subject, "Subject"))) == subject


def _people(name: str, value: str) -> list[tuple[str, str]]:
    """Name and address of everyone in the header, as clients of every age read it."""
    read = str(_parsed(name, value))
    assert len(_parsed(name, value).addresses) == 1
    raw = BytesHeaderParser().parsebytes(f"{name}: {value}{CRLF}{CRLF}".encode("ascii"))[name]
    assert "@" in read
    return [(str(make_header(decode_header(n))), a) for n, a in getaddresses([raw])]


@given(st.text(max_size=60))
def test_a_name_can_add_neither_an_address_nor_a_header(name):
    found = _people("To", addressed(name, "ana@example.org"))
    assert found == [(one_line(name), "ana@example.org")]


@pytest.mark.parametrize(
    "name",
    ["Ana <b@example.org>", "Ana\r\nBcc: b@example.org", "Ana, b@example.org", '"', "a\\", "J. R.",
     "Atelier & Co", "(comment)", "محمد", "葵" * 40, "=?utf-8?q?b=40example.org?=",
     "a" * 300, ";:"],
)  # fmt: skip
def test_hostile_names_stay_names(name):
    address = "a" * 64 + "@" + "b" * 60 + ".example.org"
    assert _people("To", addressed(name, address)) == [(one_line(name), address)]


@given(st.text())
def test_one_line_is_one_line(text):
    line = one_line(text)
    assert line.splitlines() in ([], [line])
    assert line == one_line(line) == line.strip()


# What the desk refuses


def _desk(**settings):
    return Desk(load_settings(**settings), TOKENS, datetime(2025, 2, 1, tzinfo=UTC))


@pytest.mark.parametrize("address", ["", "news", "Shop <news@shop.example>", "a@b\r\nBcc: c@d.e"])
def test_a_sender_that_is_no_address_is_named(address):
    with pytest.raises(InputError, match="^PERSONA_FROM_ADDRESS is "):
        _desk(from_address=address)


@pytest.mark.parametrize(
    "url",
    ["", "http://shop.example/u", "shop.example/u", "https://", "mailto:a@shop.example",
     "https://shop.example/a b", "https://shop.example/>",
     "https://shop.example/\r\nBcc: a@b.example", "https://shöp.example/u",
     "https://shop.example/" + "x" * 800],
)  # fmt: skip
def test_an_unsubscribe_address_that_no_header_holds_is_named(url):
    with pytest.raises(InputError, match="^PERSONA_UNSUBSCRIBE_URL is "):
        _desk(unsubscribe_url=url)


def test_the_shop_may_be_called_anything():
    desk = _desk(shop_name='A "very"\r\nlong name, <news@other.example> ' + "é" * 90)
    ((name, address),) = _people("From", desk.sender)
    assert address == "news@shop.example"
    assert name == 'A "very" long name, <news@other.example> ' + "é" * 90
