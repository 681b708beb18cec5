"""Letters: e-mails ready to be sent, whatever the format, and what a header may hold."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from hashlib import sha256
from typing import Any

import idna

from persona_assets.copywriting.display import display_name
from persona_assets.copywriting.message import Sender, as_html
from persona_assets.copywriting.unsubscribe import Tokens, unsubscribe_link
from persona_assets.errors import InputError
from persona_assets.settings import Settings
from persona_assets.text import printable

CRLF = "\r\n"
ONE_CLICK = "List-Unsubscribe=One-Click"  # RFC 8058

_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"  # RFC 5322's atext
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LOCAL_PART = re.compile(rf"{_WORD}(?:\.{_WORD})*")
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")
_WORDS = re.compile(rf"{_WORD}(?: {_WORD})*")
_GAP = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]+")
# Printable ASCII without the brackets that go around it; short enough for SES's headers.
_URL = re.compile(r"https://[A-Za-z0-9][!-;=?-~]{0,700}")


@dataclass(frozen=True, slots=True)
class Letter:
    """One e-mail with all that it is sent with.

    address: ASCII; name: what the customer may be called; unsubscribe: the customer's own link;
    papers: the columns that say where the e-mail comes from.
    """

    user_id: int
    address: str
    name: str | None
    subject: str
    preheader: str
    text: str
    html: str
    unsubscribe: str
    message_id: str
    papers: Mapping[str, Any]

    def headers(self) -> dict[str, str]:
        """The headers that let mail clients offer to unsubscribe with one click (RFC 8058)."""
        return {
            "List-Unsubscribe": f"<{self.unsubscribe}>",
            "List-Unsubscribe-Post": ONE_CLICK,
        }


_PAPERS = ("language", "country", "segment", "lifecycle", "prompt_hash", "writer", "attempt",
           "segmentation_run", "as_of", "run_id", "written_at")  # fmt: skip


class Desk:
    """Makes letters from rows of export.sql, with the shop's settings.

    sender: the From header, folded; date: the Date header; template_id: of listmonk's template.
    """

    def __init__(
        self,
        settings: Settings,
        tokens: Tokens,
        sent_at: datetime,
        template_id: int | None = None,
    ) -> None:
        """Raises InputError for a sender or an unsubscribe link that no header can hold."""
        sender = mailbox(settings.from_address)
        if sender is None:
            raise InputError(
                f"PERSONA_FROM_ADDRESS is {settings.from_address!r}: set it to the address that "
                "the e-mails come from, such as news@shop.example."
            )
        if not _URL.fullmatch(settings.unsubscribe_url):
            raise InputError(
                f"PERSONA_UNSUBSCRIBE_URL is {settings.unsubscribe_url!r}: mail clients want an "
                "address that starts with https:// and has ASCII characters only."
            )
        self.sender = addressed(settings.shop_name, sender)
        self.date = format_datetime(sent_at)
        self.template_id = template_id
        self._domain = sender.rpartition("@")[2]
        self._shop = Sender.from_settings(settings)
        self._unsubscribe_url = settings.unsubscribe_url
        self._tokens = tokens

    def letter(self, row: Mapping[str, Any]) -> Letter | None:
        """The letter of a row, or None when no mail server would take its address.

        Raises InputError when the e-mail was made with other settings of the sender: its text, its
        HTML and its headers would not agree.
        """
        address = mailbox(row["email"])
        if address is None:
            return None
        text, language = row["marketing_email"], row["language"]
        link = unsubscribe_link(self._unsubscribe_url, self._tokens.token(row["user_id"]))
        try:
            html = as_html(
                text,
                language=language,
                subject=row["subject"],
                preheader=row["preheader"],
                sender=self._shop,
                unsubscribe_link=link,
            )
        except ValueError:
            raise InputError(
                f"The e-mails in {language} were made with other values of PERSONA_SHOP_NAME, "
                "PERSONA_SHOP_URL, PERSONA_POSTAL_ADDRESS, PERSONA_UNSUBSCRIBE_URL or "
                "PERSONA_UNSUBSCRIBE_KEY, or by another version: "
                f"`persona run --language {language}` makes them anew."
            ) from None
        # The link is in it: nobody else can tell the id, and the same e-mail has the same one.
        content = f"{row['user_id']}\n{row['as_of']}\n{row['subject']}\n{text}"
        return Letter(
            user_id=row["user_id"],
            address=address,
            name=display_name(row["first_name"]),
            subject=one_line(row["subject"]),
            preheader=one_line(row["preheader"]),
            text=printable(text),
            html=html,
            unsubscribe=link,
            message_id=f"<{sha256(content.encode()).hexdigest()[:32]}@{self._domain}>",
            papers={name: row[name] for name in _PAPERS},
        )


def mailbox(address: str) -> str | None:
    """The address as every mail server takes it, or None when there is no such form.

    Domains in other scripts are given in Punycode (IDNA 2008). Local parts beyond ASCII, which
    only servers with SMTPUTF8 take, and everything that is no dot-atom of RFC 5322 get None.
    """
    local, _, domain = address.strip().rpartition("@")
    if len(local) > 64 or len(domain) > 253 or not _LOCAL_PART.fullmatch(local):
        return None
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except UnicodeError:
            return None
    if len(local) + len(domain) > 253 or not _DOMAIN.fullmatch(domain):  # with the @: RFC 5321
        return None
    return f"{local}@{domain}"


def one_line(text: str) -> str:
    """The text on one line, without control characters and overrides of direction. No-break and
    wide spaces stay."""
    return _GAP.sub(" ", printable(_GAP.sub(" ", text))).strip()


def addressed(name: str | None, address: str) -> str:
    """A name and an ASCII address for From or To, folded where it is long."""
    name = one_line(name or "")
    if not name:
        return address
    if len(name) > 60 or not _WORDS.fullmatch(name):
        name = _encoded(name, "From")
    return f"{name}{CRLF if len(name) + len(address) > 60 else ''} <{address}>"


def encoded(text: str, header: str) -> str:
    """A line of text as a header's value: RFC 2047 where it is not short plain ASCII, folded."""
    if len(text) <= 60 and text.isascii() and "=?" not in text:
        return text
    return _encoded(text, header)


def _encoded(text: str, header: str) -> str:
    return Header(text, "utf-8", header_name=header, maxlinelen=75).encode(linesep=CRLF)
