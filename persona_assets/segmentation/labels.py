"""Labels given by hand: a CSV with segment, label and designation."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from persona_assets.errors import InputError

PROSPECTS_SEGMENT = "prospects"


@dataclass(frozen=True)
class SegmentLabel:
    """A segment's name for people, and where it comes from (method: hand_on, hand_off, rules)."""

    segment: str
    segment_label: str
    designation: str
    method: str
    writer: str
    tone: str | None = None


def read_labels(file: Path, segments: Sequence[str]) -> list[SegmentLabel]:
    """The labels in a CSV with the columns segment, label and designation.

    segments: those of the model; prospects are expected beside them. Raises InputError naming
    the file and each segment that is missing, given twice or unknown.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            absent = {"segment", "label", "designation"} - set(reader.fieldnames or ())
            rows = [] if absent else [
                {name: (value or "").strip() for name, value in row.items() if name}
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The labels file {file} cannot be read: {error}.") from None
    if absent:
        raise InputError(f"The labels file {file} has no column {', '.join(sorted(absent))}.")
    expected = [*segments, PROSPECTS_SEGMENT]
    given = [row["segment"] for row in rows]
    problems = [f"no label for {name}" for name in expected if name not in given]
    problems += [f"{name} twice" for name in sorted(set(given)) if given.count(name) > 1]
    problems += [f"unknown segment {name!r}" for name in given if name not in expected]
    problems += [
        f"nothing in {column} of {row['segment']}"
        for row in rows
        for column in ("label", "designation")
        if not row[column]
    ]
    if problems:
        raise InputError(
            f"The labels file {file}: {'; '.join(problems)}. It must name each of "
            f"{', '.join(expected)} once."
        )
    return [
        SegmentLabel(row["segment"], row["label"], row["designation"], "hand_on", file.name)
        for row in rows
    ]
