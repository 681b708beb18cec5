"""Getting drafts for the prompts that have none: in rounds, gated, and saved as they come."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
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
_LISTS = [at for at, one in enumerate(fields(Brief)) if one.type == tuple[str, ...]]


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
            # Looking for keys reads those of all drafts.
            key = () if self.journal.certain else _KEY
            return self.warehouse.append("drafts", _DRAFTS, [batch], key).rows

    def write(self, writer: Writer, before: tuple[str, ...] = ()) -> int:
        """Write the prompts of the language that have no accepted draft, neither of this writer
        nor of those `before` it; how many drafts were saved.

        A refused draft is asked for again, ATTEMPTS times in all. Raises PersonaError when
        prompts remain that the writer gave no draft for, and whatever the writer raises; what was
        written is saved all the same.
        """
        saved = 0
        for _ in range(ATTEMPTS):
            done = self._round(writer, before)
            saved += done.saved
            if done.accepted == done.asked:
                return saved
        if unanswered := sum(1 for _ in self._pending(writer, before)):
            raise PersonaError(
                f"{unanswered:,} prompts in {self.wanted['language']} got no answer from "
                f"{writer.name}. What is written is kept: run again to go on."
            )
        return saved

    def _round(self, writer: Writer, before: tuple[str, ...]) -> "_Round":
        """Ask once for each pending prompt."""
        done = _Round()
        waiting, last = 0, time.monotonic()

        def briefs() -> Iterator[Brief]:
            for brief in self._pending(writer, before):
                done.asked += 1
                yield brief

        def keep(brief: Brief, draft: Draft) -> None:
            accepted = self._keep(brief, draft)
            with done.counting:
                done.accepted += accepted

        try:
            for made in writer.write(briefs(), keep, self.budget):
                waiting += made
                if waiting >= BATCH or time.monotonic() - last > SECONDS:
                    done.saved += self.save()
                    self.progress(
                        f"{self.wanted['language']}: {done.saved:,} drafts saved in this round, "
                        f"of about {self.expected:,} to write"
                    )
                    waiting, last = 0, time.monotonic()
        finally:
            done.saved += self.save()
        return done

    def _pending(self, writer: Writer, before: tuple[str, ...]) -> Iterator[Brief]:
        parameters = {
            **self.wanted,
            "writer": writer.name,
            "writers": [writer.name, *before],
            "attempts": ATTEMPTS,
        }
        for rows in self.warehouse.stream(read_query("pending_prompts"), parameters, BATCH):
            columns = [rows[name].to_pylist() for name in Brief.__slots__]
            for at in _LISTS:
                columns[at] = [tuple(names or ()) for names in columns[at]]
            yield from map(Brief, *columns)

    def _keep(self, brief: Brief, draft: Draft) -> bool:
        """Hold the draft against the gates and journal it; whether it was accepted."""
        problems = self.gates.problems(draft, brief)
        self.journal.add(
            {
                **{name: getattr(draft, name) for name in _OF_DRAFT},
                "language": brief.language,
                "status": "rejected" if problems else "accepted",
                "problems": problems,
                "run_id": self.run_id,
                "written_at": datetime.now(UTC).isoformat(),
            }
        )
        return not problems


@dataclass
class _Round:
    """How many prompts were asked for, drafts accepted, and drafts saved."""

    asked: int = 0
    accepted: int = 0
    saved: int = 0
    counting: threading.Lock = field(default_factory=threading.Lock)
