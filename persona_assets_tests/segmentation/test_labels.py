"""Labels given by hand: what the CSV may hold, and what is said of one that is refused."""

import re
from pathlib import Path

import pytest

from persona_assets.errors import InputError
from persona_assets.segmentation.labels import SegmentLabel, read_labels

SEGMENTS = ["seg_1", "seg_2"]
GOOD = """\
segment,label,designation
seg_1,Patrons,"They come often, and stay."
seg_2,Visitors,They look around.
prospects,Newcomers,They have an account.
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def refusal(file: Path, content: str | bytes) -> str:
    """What read_labels says of a file with this content."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as refused:
        read_labels(file, SEGMENTS)
    assert str(file) in str(refused.value)
    return str(refused.value)


def test_a_good_file_is_read_whole(file):
    file.write_text(GOOD)
    assert read_labels(file, SEGMENTS) == [
        SegmentLabel("seg_1", "Patrons", "They come often, and stay.", "hand_on", "labels.csv"),
        SegmentLabel("seg_2", "Visitors", "They look around.", "hand_on", "labels.csv"),
        SegmentLabel("prospects", "Newcomers", "They have an account.", "hand_on", "labels.csv"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("Patrons", "  Patrons ").encode(),
        GOOD.replace("\n", ",more\n").encode(),
        GOOD.replace("around.\n", "around.,,\n").encode(),
        GOOD.replace("around.\n", "around.\n\n").encode(),
    ],
    ids=["BOM", "CRLF", "spaces", "another column", "longer line", "empty line"],
)
def test_what_spreadsheets_do_to_a_file_changes_nothing(file, content):
    file.write_text(GOOD)
    expected = read_labels(file, SEGMENTS)
    file.write_bytes(content)
    assert read_labels(file, SEGMENTS) == expected


def test_labels_in_any_language_and_column_order_are_kept(file):
    file.write_text(
        "designation,segment,label\n常连,seg_1,贵宾\nZweite,seg_2,Gäste\nIII,prospects,Élus\n",
        encoding="utf-8",
    )
    found = read_labels(file, SEGMENTS)
    assert [label.segment_label for label in found] == ["贵宾", "Gäste", "Élus"]


def test_with_no_buyers_the_prospects_alone_are_labelled(file):
    file.write_text("segment,label,designation\nprospects,Newcomers,They have an account.\n")
    assert [label.segment for label in read_labels(file, [])] == ["prospects"]


@pytest.mark.parametrize("column", ["segment", "label", "designation"])
def test_a_missing_column_is_named(file, column):
    said = refusal(file, GOOD.replace(column, "other", 1))
    assert said.endswith(f"has no column {column}.")


def test_an_empty_file_has_none_of_the_columns(file):
    assert refusal(file, "").endswith("has no column designation, label, segment.")


@pytest.mark.parametrize("segment", ["seg_1", "seg_2", "prospects"])
def test_a_missing_segment_is_named(file, segment):
    said = refusal(file, re.sub(rf"{segment},.*\n", "", GOOD))
    assert f": no label for {segment}. It must name" in said
    assert said.endswith("It must name each of seg_1, seg_2, prospects once.")


def test_a_segment_given_twice_is_named(file):
    assert ": seg_2 twice. It" in refusal(file, GOOD + "seg_2,Guests,Again.\n")


def test_an_unknown_segment_is_named(file):
    assert ": unknown segment 'seg_3'. It" in refusal(file, GOOD + "seg_3,Others,Else.\n")


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ("Visitors", "", "label"),
        ("Visitors", "   ", "label"),
        ("They look around.", "", "designation"),
        (",They look around.", "", "designation"),
    ],
    ids=["no label", "blank label", "no designation", "short line"],
)
def test_an_empty_value_is_named(file, old, new, column):
    assert f": nothing in {column} of seg_2. It" in refusal(file, GOOD.replace(old, new))


def test_all_problems_are_told_at_once(file):
    said = refusal(file, "segment,label,designation\nseg_1,,x\nseg_1,a,x\nseg_9,b,x\n")
    for problem in ("no label for seg_2", "no label for prospects", "seg_1 twice",
                    "unknown segment 'seg_9'", "nothing in label of seg_1"):  # fmt: skip
        assert problem in said


@pytest.mark.parametrize(
    "content",
    [GOOD.encode("utf-16"), GOOD.replace("Patrons", "Gäste").encode("latin-1")],
    ids=["UTF-16", "Latin-1"],
)
def test_a_file_that_is_not_utf_8_is_refused(file, content):
    assert "cannot be read" in refusal(file, content)


def test_a_field_beyond_every_limit_is_refused(file):
    assert "cannot be read" in refusal(file, GOOD.replace("Patrons", "x" * 200_000))


@pytest.mark.parametrize("kind", ["absent", "folder"])
def test_a_file_that_cannot_be_opened_is_refused(tmp_path, kind):
    path = tmp_path / "absent.csv" if kind == "absent" else tmp_path
    with pytest.raises(InputError, match=re.escape(f"The labels file {path} cannot be read")):
        read_labels(path, SEGMENTS)
