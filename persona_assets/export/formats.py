"""The formats: how letters become files.

Each writer takes the letters of one language as they come and holds none of them.
"""

import binascii
import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from .letters import CRLF, Desk, Letter, addressed, encoded

SES_DESTINATIONS = 50
_SES_BYTES = 900_000  # a request with an inline template may have 1 MB
_SPREADSHEET = re.compile("[=+\\-@\t\r\n＝＋－＠]")
_HEADER = re.compile(r"[ -~]*(\r\n [ -~]+)*")


@dataclass(frozen=True)
class Format:
    """target: the name of the file or folder, with {language}; write: fills it;
    endings: of the files in a folder; cells: whether spreadsheets open it."""

    target: str
    write: Callable[[Iterable[Letter], Path, Desk], None]
    endings: tuple[str, ...] = ()
    cells: bool = False


def write_eml(letters: Iterable[Letter], folder: Path, desk: Desk) -> None:
    """A folder with a message per customer, named by user id (RFC 5322)."""
    folder.mkdir()
    for letter in letters:
        (folder / f"{letter.user_id}.eml").write_bytes(message(letter, desk))


def message(letter: Letter, desk: Desk) -> bytes:
    """The letter as a message with a text and an HTML alternative.

    Put together here: email.message takes 3 ms for one, and loses spaces where it folds a long
    subject. Raises ValueError for a header that would not stay one.
    """
    boundary = f"=_{letter.message_id[1:33]}"  # never in quoted-printable text
    headers = {
        "From": desk.sender,
        "To": addressed(letter.name, letter.address),
        "Subject": encoded(letter.subject, "Subject"),
        "Date": desk.date,
        "Message-ID": letter.message_id,
        **letter.headers(),
        "MIME-Version": "1.0",
        "Content-Type": f'multipart/alternative;{CRLF} boundary="{boundary}"',
    }
    for name, value in headers.items():
        if not _HEADER.fullmatch(value):
            raise ValueError(f"{name} of the e-mail to customer {letter.user_id} is no header")
    lines = [*(f"{name}: {value}".encode() for name, value in headers.items()), b""]
    for kind, content in (("plain", letter.text), ("html", letter.html)):
        lines += [
            f"--{boundary}".encode(),
            f'Content-Type: text/{kind}; charset="utf-8"'.encode(),
            b"Content-Transfer-Encoding: quoted-printable",
            b"",
            _quoted_printable(content),
        ]
    return CRLF.encode().join([*lines, f"--{boundary}--".encode(), b""])


def _quoted_printable(text: str) -> bytes:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").replace("\n", CRLF)
    # The first line break tells the encoder which kind to write where it breaks a line.
    return binascii.b2a_qp(f"{CRLF}{lines}".encode(), istext=True).removeprefix(CRLF.encode())


def write_jsonl(letters: Iterable[Letter], file: Path, desk: Desk) -> None:
    """A JSON object per e-mail with everything that is known about it."""
    with _text(file) as lines:
        for letter in letters:
            whole = {
                "user_id": letter.user_id,
                "email": letter.address,
                "name": letter.name,
                "from": _unfolded(desk.sender),
                "subject": letter.subject,
                "preheader": letter.preheader,
                "text": letter.text,
                "html": letter.html,
                "unsubscribe": letter.unsubscribe,
                "message_id": letter.message_id,
                "date": desk.date,
                "headers": letter.headers(),
                **letter.papers,
            }
            lines.write(_json(whole) + "\n")


_COLUMNS = ("email", "name", "user_id", "language", "country", "segment", "lifecycle", "subject",
            "preheader", "text", "html", "unsubscribe", "message_id")  # fmt: skip


def write_csv(letters: Iterable[Letter], file: Path, desk: Desk) -> None:
    """A table (RFC 4180, UTF-8) whose columns are a mail platform's merge tags."""
    with _text(file) as lines:
        table = csv.writer(lines)
        table.writerow(_COLUMNS)
        for letter in letters:
            known = {"email": letter.address, **letter.papers}
            values = (
                known[column] if column in known else getattr(letter, column)
                for column in _COLUMNS
            )
            table.writerow([_cell(value) for value in values])


def write_listmonk(letters: Iterable[Letter], folder: Path, desk: Desk) -> None:
    """A folder with subscribers.csv, to import, and tx.jsonl, a body of POST /api/tx per line.

    The transactional template's body must be {{ .Tx.Data.html | Safe }}. Subject and text go by
    constant expressions: listmonk would run template expressions inside them.
    """
    folder.mkdir()
    template = {} if desk.template_id is None else {"template_id": desk.template_id}
    with _text(folder / "subscribers.csv") as rows, _text(folder / "tx.jsonl") as lines:
        table = csv.writer(rows)
        table.writerow(("email", "name", "attributes"))
        for letter in letters:
            attributes = {
                "user_id": letter.user_id,
                "unsubscribe": letter.unsubscribe,
                **{name: letter.papers[name] for name in ("language", "country", "lifecycle")},
            }
            table.writerow([letter.address, _cell(letter.name or ""), _json(attributes)])
            request = {
                "subscriber_mode": "fallback",
                "subscriber_emails": [letter.address],
                **template,
                "from_email": _unfolded(desk.sender),
                "subject": "{{ .Tx.Data.subject }}",
                "altbody": "{{ .Tx.Data.text }}",
                "content_type": "html",
                "headers": [{name: value} for name, value in letter.headers().items()],
                "data": {"subject": letter.subject, "text": letter.text, "html": letter.html},
            }
            lines.write(_json(request) + "\n")


def write_ses(letters: Iterable[Letter], file: Path, desk: Desk) -> None:
    """A body of Amazon SES v2's SendBulkEmail per line, for up to 50 destinations each."""
    request = {
        "FromEmailAddress": _unfolded(desk.sender),
        "DefaultContent": {
            "Template": {
                # SES puts the values in as they are; the HTML is escaped already.
                "TemplateContent": {
                    "Subject": "{{subject}}",
                    "Text": "{{text}}",
                    "Html": "{{html}}",
                },
                "TemplateData": "{}",
            }
        },
    }
    with _text(file) as lines:
        for entries in _requests(map(_destination, letters)):
            lines.write(_json({**request, "BulkEmailEntries": entries}) + "\n")


def _destination(letter: Letter) -> dict[str, Any]:
    data = {"subject": letter.subject, "text": letter.text, "html": letter.html}
    return {
        "Destination": {"ToAddresses": [letter.address]},
        "ReplacementEmailContent": {
            "ReplacementTemplate": {"ReplacementTemplateData": _json(data)}
        },
        "ReplacementHeaders": [
            {"Name": name, "Value": value} for name, value in letter.headers().items()
        ],
    }


def _requests(entries: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for entry in entries:
        entry_size = len(_json(entry))
        if batch and (len(batch) == SES_DESTINATIONS or size + entry_size > _SES_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry_size
    if batch:
        yield batch


def is_formula(text: str) -> bool:
    """Whether a spreadsheet that opens the cell would compute it."""
    return _SPREADSHEET.match(text) is not None


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and is_formula(value) else value


def _json(value: Any) -> str:
    """ASCII on one line, whatever a reader takes for the end of one."""
    return json.dumps(value, default=lambda moment: moment.isoformat())


def _unfolded(header: str) -> str:
    return header.replace(CRLF, "")


@contextmanager
def _text(file: Path) -> Iterator[TextIO]:
    with file.open("x", encoding="utf-8", newline="") as text:
        yield text


FORMATS = {
    "eml": Format("emails-{language}", write_eml, endings=(".eml",)),
    "jsonl": Format("emails-{language}.jsonl", write_jsonl),
    "csv": Format("emails-{language}.csv", write_csv, cells=True),
    "listmonk": Format(
        "listmonk-{language}", write_listmonk, endings=(".csv", ".jsonl"), cells=True
    ),
    "ses": Format("ses-{language}.jsonl", write_ses),
}
