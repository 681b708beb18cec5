"""Getting drafts for the prompts that have none: in rounds, gated, and saved as they come."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from persona_assets import schemas
from persona_assets.copywriting.brief import Brief, Draft
from persona_assets.copywriting.gates import Gates
from persona_assets.copywriting.journal import Journal
from persona_assets.copywriting.money import Budget
from persona_assets.copywriting.writer import ATTEMPTS, Writer
from persona_assets.errors import PersonaError
from persona_assets.warehouse import Warehouse, read_query

BATCH = 5_000
SECONDS = 15.0
_DRAFTS = schemas.arrow_schema(schemas.drafts)
_KEY = schemas.key(schemas.drafts)
_OF_DRAFT = {*_DRAFTS.names} & {*Draft.__slots__}
_LISTS = ("top_products_user", "top_products_country", "refused_for")


@dataclass(frozen=True)
class Desk:
    """Where the drafts of one language are written and saved.

    wanted: the parameters language and cutoff of pending_prompts.sql; run_id: the Dagster run;
    expected: about how many drafts are to be written.
    """

    warehouse: Warehouse
    journal: Journal
    gates: Gates
    budget: Budget
    wanted: Mapping[str, Any]
    run_id: str
    progress: Callable[[str], None]
    expected: int = 0

    def save(self) -> int:
        """Move what is in the journal to the table drafts; how many were new there."""
        with self.journal.taken() as rows:
            if not rows:
                return 0
            for row in rows:
                row["written_at"] = datetime.fromisoformat(row["written_at"])
            batch = pa.RecordBatch.from_pylist(rows, schema=_DRAFTS)
            return self.warehouse.append("drafts", _DRAFTS, [batch], _KEY).rows

    def write(self, writer: Writer, before: tuple[str, ...] = ()) -> int:
        """Write the prompts of the language that have no accepted draft, neither of this writer
        nor of those `before` it; how many drafts were saved.

        A refused draft is asked for again, ATTEMPTS times in all. Raises PersonaError when
        prompts remain that the writer gave no draft for, and whatever the writer raises; what was
        written is saved all the same.
        """
        saved = 0
        for _ in range(ATTEMPTS):
            asked, made = self._round(writer, before)
            saved += made
            if not asked:
                return saved
        if unanswered := sum(1 for _ in self._pending(writer, before)):
            raise PersonaError(
                f"{unanswered:,} prompts in {self.wanted['language']} got no answer from "
                f"{writer.name}. What is written is kept: run again to go on."
            )
        return saved

    def _round(self, writer: Writer, before: tuple[str, ...]) -> tuple[int, int]:
        """Ask once for each pending prompt; how many were asked for, and drafts saved."""
        asked = saved = waiting = 0
        last = time.monotonic()

        def briefs() -> Iterator[Brief]:
            nonlocal asked
            for brief in self._pending(writer, before):
                asked += 1
                yield brief

        try:
            for made in writer.write(briefs(), self._keep, self.budget):
                waiting += made
                if waiting >= BATCH or time.monotonic() - last > SECONDS:
                    saved += self.save()
                    self.progress(
                        f"{self.wanted['language']}: {saved:,} drafts saved in this round, of "
                        f"about {self.expected:,} to write"
                    )
                    waiting, last = 0, time.monotonic()
        finally:
            saved += self.save()
        return asked, saved

    def _pending(self, writer: Writer, before: tuple[str, ...]) -> Iterator[Brief]:
        parameters = {
            **self.wanted,
            "writer": writer.name,
            "writers": [writer.name, *before],
            "attempts": ATTEMPTS,
        }
        for rows in self.warehouse.stream(read_query("pending_prompts"), parameters, BATCH):
            for row in rows.to_pylist():
                yield Brief(**row | {name: tuple(row[name] or ()) for name in _LISTS})

    def _keep(self, brief: Brief, draft: Draft) -> None:
        problems = self.gates.problems(draft, brief)
        self.journal.add(
            {
                **{name: getattr(draft, name) for name in _OF_DRAFT},
                "status": "rejected" if problems else "accepted",
                "problems": problems,
                "run_id": self.run_id,
                "written_at": datetime.now(UTC).isoformat(),
            }
        )
