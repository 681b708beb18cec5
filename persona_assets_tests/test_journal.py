"""Drafts on their way from the journal to the table: each saved once, whatever goes wrong."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from persona_assets import schemas
from persona_assets.assets.drafting import Desk
from persona_assets.copywriting.gates import Gates
from persona_assets.copywriting.journal import Journal
from persona_assets.copywriting.money import Budget
from persona_assets.warehouse import DuckDBWarehouse, Receipt


class Watched(DuckDBWarehouse):
    """Notes the key of each append; `fails` after that many are committed."""

    fails = 0

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.keys: list[tuple[str, ...]] = []

    def append(
        self, table: str, schema: Any, batches: Any, key: Sequence[str] = ()
    ) -> Receipt:
        receipt = super().append(table, schema, batches, key)
        self.keys.append(tuple(key))
        if self.fails:
            self.fails -= 1
            raise ConnectionError("the answer was lost")
        return receipt


@pytest.fixture
def warehouse(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "warehouse.duckdb")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "drafts", wait_seconds=1) as journal:
        yield journal


def desk(warehouse: Watched, journal: Journal) -> Desk:
    return Desk(warehouse, journal, Gates(), Budget(None, 0), {"language": "en"}, "run", print)


def draft(number: int) -> dict[str, Any]:
    return {
        "prompt_hash": f"{number:064x}", "writer": "chat", "attempt": 1, "language": "en",
        "subject": "s", "preheader": "p", "body": "b", "status": "accepted", "problems": [],
        "input_tokens": 1, "output_tokens": 1, "cost_usd": 0.0, "run_id": "run",
        "written_at": datetime.now(UTC).isoformat(),
    }  # fmt: skip


def saved(warehouse: Watched) -> int:
    with warehouse.ibis_table("drafts") as table:
        return int(table.count().execute())


KEY = tuple(schemas.key(schemas.drafts))


def test_keys_are_looked_for_among_what_a_killed_run_left_and_not_afterwards(
    warehouse, journal, tmp_path
):
    journal.add(draft(1))
    journal._close()
    left = next((tmp_path / "drafts").glob("*.jsonl"))
    kept = left.read_bytes()
    assert desk(warehouse, journal).save() == 1
    left.write_bytes(kept)  # the kill came after saving, before the file was gone
    with_it = Journal(tmp_path / "drafts")
    again = desk(warehouse, with_it)
    assert again.save() == 0
    with_it.add(draft(2))
    assert again.save() == 1
    assert warehouse.keys == [KEY, KEY, ()]
    assert saved(warehouse) == 2


def test_a_save_whose_answer_was_lost_doubles_nothing(warehouse, journal):
    one = desk(warehouse, journal)
    assert one.save() == 0
    journal.add(draft(1))
    warehouse.fails = 1
    with pytest.raises(ConnectionError):
        one.save()
    journal.add(draft(2))
    assert one.save() == 1
    assert warehouse.keys == [(), KEY]
    assert saved(warehouse) == 2
