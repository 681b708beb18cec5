"""The command's work: each language written aside, put in place when it is whole, and counted."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from persona_assets.copywriting.unsubscribe import load_tokens
from persona_assets.errors import InputError, PersonaError, WarehouseBusy
from persona_assets.languages import LANGUAGES
from persona_assets.settings import Settings, sender_examples
from persona_assets.warehouse import Warehouse, read_query

from .formats import FORMATS, Format, is_formula
from .letters import Desk, Letter

BATCH = 1_000
_NEEDED = ("emails", "final_prompts", "parametric", "suppression_list")
_PROGRESS = 10_000


@dataclass(frozen=True)
class Summary:
    """What an export made. emails: by language; left_out: e-mails by reason; examples: the
    sender's settings that still have the example's value; files: by language, where there are
    e-mails; path: the folder that they are in."""

    format: str
    emails: dict[str, int]
    emails_total: int
    left_out: dict[str, int]
    examples: list[str]
    files: dict[str, str]
    path: str


def export(
    warehouse: Warehouse,
    settings: Settings,
    format_name: str,
    languages: Sequence[str],
    out: Path,
    sent_at: datetime,
    tell: Callable[[str], None],
    template_id: int | None = None,
) -> Summary:
    """Write the e-mails of each language to `out` in one of FORMATS, dated `sent_at`.

    template_id: listmonk's number of the transactional template.

    A language's files appear when they are whole and replace those of an export before; a
    language without e-mails loses them. `tell` hears of the progress. Raises InputError when there
    is nothing to export yet or a setting or `out` does not serve, and PersonaError when writing
    fails halfway.
    """
    _need_tables(warehouse)
    form = FORMATS[format_name]
    desk = Desk(settings, load_tokens(settings), sent_at, template_id)
    emails: dict[str, int] = {}
    files: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    with _workshop(out) as aside:
        for language in languages:
            target = out / form.target.format(language=language)
            _check_replaceable(target, form)
            new, done = aside / target.name, Counter()
            letters = _letters(warehouse, desk, form, language, done, tell)
            with _writing(out):
                form.write(letters, new, desk)
                _replace(target, new if done["exported"] else None, aside)
            emails[language] = done.pop("exported", 0)
            left_out += done
            if emails[language]:
                files[language] = str(target)
            tell(f"{LANGUAGES[language]}: {emails[language] or 'no'} e-mails")
    return Summary(
        format=format_name,
        emails=emails,
        emails_total=sum(emails.values()),
        left_out=dict(left_out),
        examples=sender_examples(settings),
        files=files,
        path=str(out),
    )


def _need_tables(warehouse: Warehouse) -> None:
    absent = [table for table in _NEEDED if not warehouse.exists(table)]
    if absent:
        raise InputError(
            f"There is no table {warehouse.address(absent[0])} yet: run `persona run` first."
        )


def _letters(
    warehouse: Warehouse,
    desk: Desk,
    form: Format,
    language: str,
    done: Counter[str],
    tell: Callable[[str], None],
) -> Iterator[Letter]:
    """The letters of a language; counts those that are exported and, by reason, the others."""
    for rows in warehouse.stream(read_query("export"), {"language": language}, BATCH):
        for row in rows.to_pylist():
            letter = None if row["left_out"] else desk.letter(row)
            if letter is None:
                done[row["left_out"] or "at an address that no mail server takes"] += 1
            elif form.cells and is_formula(letter.address):
                done["at an address that a spreadsheet takes for a formula"] += 1
            else:
                done["exported"] += 1
                yield letter
                if done["exported"] % _PROGRESS == 0:
                    tell(f"{LANGUAGES[language]}: {done['exported']:,} e-mails so far")


@contextmanager
def _workshop(out: Path) -> Iterator[Path]:
    """A folder inside `out` to write in, gone afterwards; one export at a time has it."""
    aside = out / ".export"
    lock = FileLock(out / ".export.lock")
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        shutil.rmtree(aside, ignore_errors=True)  # what an export that was killed left behind
        aside.mkdir()
    except Timeout:
        raise WarehouseBusy(
            f"Another export is writing to {out}: wait until it has finished or stop it."
        ) from None
    except OSError as error:
        raise InputError(
            f"The folder {out} cannot be written ({error.strerror}): give --out a folder that you "
            "may write to."
        ) from None
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        lock.release()


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PersonaError(
            f"The export to {out} stopped ({error.strerror}): languages that were finished are "
            "there, this one is not. Export again."
        ) from error


def _check_replaceable(target: Path, form: Format) -> None:
    """Raises InputError when something else than an earlier export has the name."""
    if not target.exists():
        return
    foreign = target
    if form.endings and target.is_dir():
        foreign = next((p for p in target.iterdir() if p.suffix not in form.endings), None)
    elif not form.endings and target.is_file():
        foreign = None
    if foreign is not None:
        raise InputError(
            f"{foreign} is not from an earlier export and would be replaced: move it away, or give "
            "--out another folder."
        )


def _replace(target: Path, new: Path | None, aside: Path) -> None:
    """Put the new file or folder in the target's place; None: leave nothing there."""
    if target.exists() and (new is None or target.is_dir()):
        target.rename(aside / f"former-{target.name}")
    if new is not None:
        new.replace(target)


def as_text(summary: Summary) -> str:
    """The summary for a person to read at a terminal; the last line is the path."""
    lines = [
        f"{summary.emails_total:,} e-mails exported as {summary.format}",
        "",
        *(
            f"  {LANGUAGES[language]:<12}{count:>9,}  {summary.files[language]}"
            if count
            else f"  {LANGUAGES[language]:<12}     none  no e-mails in this language"
            for language, count in summary.emails.items()
        ),
    ]
    if summary.left_out:
        lines += ["", "Left out"]
        lines += [f"  {count:>10,}  {reason}" for reason, count in summary.left_out.items()]
    return "\n".join([*lines, "", summary.path])
