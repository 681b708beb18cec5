"""The BigQuery writer: drafts from a remote model inside the warehouse, thousands in one job."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa

from persona_assets.errors import PersonaError
from persona_assets.settings import Settings
from persona_assets.warehouse.googlesql import Query, read_query

from .asking import PARTS, SYSTEM, estimate_calls, find_price, read_draft, told
from .brief import Brief, Draft
from .gemini import lasts, model_params, passes, read_response
from .money import Budget, Estimate, Price, Work

if TYPE_CHECKING:
    from persona_assets.warehouse.bigquery import BigQueryWarehouse

# Raise when the code or the SQL below could get another text for the same brief.
CODE_VERSION = "1"
CHUNK = 10_000  # prompts of one job
ASKED = pa.schema([("prompt_hash", pa.string()), ("attempt", pa.int64()), ("prompt", pa.string())])
ANSWERS = pa.schema(
    [
        ("prompt_hash", pa.string()),
        ("attempt", pa.int64()),
        *((name, pa.string()) for name in PARTS),
        ("full_response", pa.string()),
        ("status", pa.string()),
    ]
)
COUNTED = 1_000  # prompts whose tokens are counted for an estimate
_READ = 1_000
_FAILURES = 10
_SAID = 200
_log = logging.getLogger(__name__)

_Key = tuple[str, int]


class BigQueryWriter:
    """Writes drafts by having BigQuery ask a remote model; implements writer.Writer.

    remote_model: its name in our dataset; model: its endpoint; function: AI.GENERATE_TABLE or
    ML.GENERATE_TEXT; price: None where it is unknown; chunk: prompts that one job asks for.
    """

    def __init__(
        self,
        warehouse: "BigQueryWarehouse",
        remote_model: str,
        model: str,
        function: str,
        price: Price | None,
        temperature: float,
        max_tokens: int,
        chunk: int = CHUNK,
    ) -> None:
        self.warehouse = warehouse
        self.remote_model = remote_model
        self.model = model
        self.price = price
        self.max_tokens = max_tokens
        self.chunk = chunk
        self._query = _query(function, model, temperature, max_tokens)
        self._counted: dict[str, float | None] = {}
        decisive = [CODE_VERSION, SYSTEM, function, temperature, max_tokens]
        digest = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()
        self.name = f"bigquery:{model}:{digest[:8]}"

    @classmethod
    def from_settings(cls, settings: Settings, warehouse: "BigQueryWarehouse") -> "BigQueryWriter":
        """The writer that the settings describe. Raises InputError as find_price does."""
        return cls(
            warehouse,
            settings.bigquery_model,
            settings.model,
            settings.bigquery_function,
            find_price(settings),
            settings.temperature,
            settings.max_output_tokens,
        )

    def write(
        self, briefs: Iterable[Brief], keep: Callable[[Brief, Draft], None], budget: Budget
    ) -> Iterator[int]:
        """A draft per brief that got an answer, in the order in which BigQuery gives the rows; as
        writer.Writer says.

        Briefs are taken as they are needed, and each job asks for as many as the budget allows.
        Answers that an earlier call has paid for and not taken come first. An answer that is no
        e-mail, and an error that does not pass, is a draft with problems. Raises BudgetExceeded;
        PersonaError when ten briefs or more got no answer and none did, and when an error is
        everybody's; and whatever `keep` raises.
        """
        failures = _Failures()
        earlier: _Earlier | None = None
        chunk, held = [], 0.0
        for brief in briefs:
            if earlier is None:
                earlier = self._earlier(brief.language)
            if row := earlier.rows.pop(_key(brief), None):
                yield from self._take(brief, row, keep, budget)
                continue
            worst = self.worst_case(brief)
            if chunk and (len(chunk) >= self.chunk or held + worst > budget.left):
                yield from self._ask(chunk, held, keep, budget, failures)
                chunk, held = [], 0.0
            chunk.append(brief)
            held += worst
        if chunk:
            yield from self._ask(chunk, held, keep, budget, failures)
        for table in earlier.tables if earlier else ():
            self.warehouse.drop(table)
        failures.complain(self)

    def estimate(self, work: Work) -> Estimate:
        """What writing the work will take. What the model thinks, where it cannot be told not to,
        is counted once it has written in the language; until then BigQuery counts what it will
        read, in a sample of the prompts."""
        if work.calls and work.input_tokens_per_character is None:
            counted = self._tokens_per_character(work.language)
            work = replace(work, input_tokens_per_character=counted)
        return estimate_calls(work, self.model, self.price)

    def _tokens_per_character(self, language: str) -> float | None:
        """By AI.COUNT_TOKENS, once per language; None where that is refused, in all of them."""
        if language not in self._counted and None not in self._counted.values():
            values = {"instructions": f"{SYSTEM}\n\n", "language": language, "prompts": COUNTED}
            counts = read_query("generate/prompt_tokens").settled({"endpoint": self.model})
            try:
                (row,) = self.warehouse.read(counts, values).to_pylist()
                said = "it gave no count"
            except PersonaError as error:
                row, said = {"tokens_per_character": None}, str(error)
            self._counted[language] = row["tokens_per_character"]
            if self._counted[language] is None:
                _log.warning("Tokens are estimated from characters, not AI.COUNT_TOKENS: %s", said)
        return self._counted.get(language)

    def prompt(self, brief: Brief) -> str:
        """What the model is told."""
        return f"{SYSTEM}\n\n{told(brief)}"

    def worst_case(self, brief: Brief) -> float:
        """The most that one answer can cost, in USD: no token is shorter than a byte."""
        return 0.0 if self.price is None else self.price.cost(*self._most_tokens(brief))

    def _most_tokens(self, brief: Brief) -> tuple[int, int]:
        described = json.dumps(model_params(self.model, 0, 0, PARTS))
        read = len((self.prompt(brief) + described).encode("utf-8", "replace"))
        return read, self.max_tokens

    def _ask(
        self,
        chunk: list[Brief],
        worst: float,
        keep: Callable[[Brief, Draft], None],
        budget: Budget,
        failures: "_Failures",
    ) -> Iterator[int]:
        """Have one job ask for the briefs, and hand over what it got."""
        asked = {_key(brief): brief for brief in chunk}
        rows = [
            {"prompt_hash": b.prompt_hash, "attempt": b.attempt, "prompt": self.prompt(b)}
            for b in chunk
        ]
        answers = f"{self._prefix(chunk[0].language)}{uuid4().hex[:12]}"
        budget.reserve(worst)
        cost = worst  # until the answers say what it was
        try:
            self.warehouse.generate(
                self._query,
                pa.Table.from_pylist(rows, schema=ASKED),
                {"copywriter": self.remote_model},
                answers,
            )
            paid = 0.0
            refused: list[tuple[Brief, Draft]] = []
            answered = 0
            for batch in self.warehouse.rows(answers, ANSWERS, _READ):
                made = 0
                for row in batch.to_pylist():
                    brief = asked.pop((row["prompt_hash"], row["attempt"]), None)
                    if brief is None:
                        continue
                    draft = self._draft(brief, row)
                    if draft is None:
                        failures.note(row["status"])
                        continue
                    paid += draft.cost_usd
                    if row["status"]:
                        refused.append((brief, draft))
                        continue
                    keep(brief, draft)
                    made += 1
                answered += made
                if made:
                    yield made
            for _ in asked:
                failures.note(None)
            cost = paid
        finally:
            budget.settle(worst, cost)
        failures.written += answered
        self._keep_refused(refused, answered, keep)
        if refused:
            failures.written += len(refused)
            yield len(refused)
        self.warehouse.drop(answers)

    def _keep_refused(
        self,
        refused: list[tuple[Brief, Draft]],
        answered: int,
        keep: Callable[[Brief, Draft], None],
    ) -> None:
        """Keep the drafts of rows with an error, unless all rows will have it."""
        for _, draft in refused:
            said = draft.problems[0]
            if lasts(said) or (not answered and len(refused) >= _FAILURES):
                raise PersonaError(
                    f"BigQuery's model {self.warehouse.address(self.remote_model)} refuses "
                    f"({said}): `persona doctor` says what is missing, and `persona bigquery "
                    "setup` puts it there."
                )
        for brief, draft in refused:
            keep(brief, draft)

    def _take(
        self,
        brief: Brief,
        row: dict[str, Any],
        keep: Callable[[Brief, Draft], None],
        budget: Budget,
    ) -> Iterator[int]:
        """Hand over an answer that was paid for earlier."""
        draft = self._draft(brief, row)
        if draft is not None and not lasts(row["status"] or ""):
            budget.reserve(0.0)
            budget.settle(0.0, draft.cost_usd)
            keep(brief, draft)
            yield 1

    def _draft(self, brief: Brief, row: dict[str, Any]) -> Draft | None:
        """The draft in a row of answers; None where there is no answer for the moment."""
        status = " ".join((row["status"] or "").split())[:_SAID]
        response = read_response(row["full_response"])
        if passes(status) or (response is None and not status):
            return None
        parts = {name: row[name] for name in PARTS if row[name] is not None}
        text = json.dumps(parts) if parts else response.text if response else ""
        tokens = (0, 0)  # an error is not charged
        if response:
            most = self._most_tokens(brief)
            wrote = min(len(text.encode("utf-8", "replace")), self.max_tokens)
            read, written = response.input_tokens, response.output_tokens
            tokens = (most[0] if read is None else read, wrote if written is None else written)
        reason = response.finish_reason if response else "stop"
        draft = read_draft(brief, self.name, text, reason, tokens, self.price)
        return replace(draft, problems=(f"model: {status}",)) if status else draft

    def _earlier(self, language: str) -> "_Earlier":
        """What jobs of calls that were killed have left of the language."""
        found = _Earlier(self.warehouse.names(self._prefix(language)))
        for table in found.tables:
            for batch in self.warehouse.rows(table, ANSWERS, _READ):
                for row in batch.to_pylist():
                    found.rows[(row["prompt_hash"], row["attempt"])] = row
        return found

    def _prefix(self, language: str) -> str:
        return f"_answers_{hashlib.sha256(self.name.encode()).hexdigest()[:8]}_{language}_"


@dataclass
class _Earlier:
    """Tables of answers, and their rows by what they answer."""

    tables: list[str]
    rows: dict[_Key, dict[str, Any]] = field(default_factory=dict)


@dataclass
class _Failures:
    """What got no answer in one call of `write`, the last reason for it, and what was written."""

    rows: int = 0
    said: str = ""
    written: int = 0

    def note(self, status: str | None) -> None:
        self.rows += 1
        self.said = " ".join((status or "it says nothing").split())[:_SAID]

    def complain(self, writer: BigQueryWriter) -> None:
        """Tell the last failure; raise it when there are many and nothing was written."""
        if self.rows:
            _log.warning("%d prompts got no answer: %s", self.rows, self.said)
        if self.rows >= _FAILURES and not self.written:
            raise PersonaError(
                f"BigQuery's model {writer.warehouse.address(writer.remote_model)} gave none of "
                f"{self.rows:,} prompts an answer ({self.said}): wait, or raise the quota of "
                f"{writer.model}; then run again."
            )


def _key(brief: Brief) -> _Key:
    return brief.prompt_hash, brief.attempt


def _query(function: str, model: str, temperature: float, max_tokens: int) -> Query:
    """The statement that asks, with its options. AI.GENERATE_TABLE has none against thinking."""
    if function == "ML.GENERATE_TEXT":
        params = model_params(model, temperature, max_tokens, PARTS)
        return read_query("generate/emails_as_text").settled({"model_params": params})
    options = {"temperature": temperature, "max_output_tokens": max_tokens}
    return read_query("generate/emails").settled(options)
