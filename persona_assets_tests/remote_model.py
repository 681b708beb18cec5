"""BigQuery's AI functions for an emulator that has none: a relay answers them, and nothing else.

In a statement that calls one, the call is replaced by the rows (or the value) that the service
would give, at the columns that its documentation names; what stands around the call stays, and the
emulator runs it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
import sqlglot
from sqlglot import exp

from .emulator import PROJECT
from .warehouse.wire import Relay, relay

USAGE = {"prompt_token_count": 400, "candidates_token_count": 150, "thoughts_token_count": 50,
         "total_token_count": 600}  # fmt: skip
CALLED = ("AI.GENERATE", "AI.COUNT_TOKENS", "ML.GENERATE_TEXT")
RETRYABLE = "A retryable error occurred: RESOURCE EXHAUSTED error from <remote endpoint>"


@dataclass
class Said:
    """What the model says to a prompt: its text, how it ended, tokens; no response at all where
    there is a status or `silent`. `camel`: the response's names in the other spelling."""

    text: str = ""
    finish_reason: str = "STOP"
    usage: Mapping[str, int] | None = field(default_factory=lambda: USAGE)
    status: str = ""
    silent: bool = False
    camel: bool = False

    def response(self) -> str | None:
        if self.status or self.silent:
            return None
        content = {"role": "model", "parts": [{"text": self.text}]}
        found: dict[str, Any] = {
            "candidates": [{"content": content, "finish_reason": self.finish_reason}]
        }
        if self.usage is not None:
            found["usage_metadata"] = dict(self.usage)
        return json.dumps(_camel(found) if self.camel else found)

    def columns(self, names: list[str]) -> dict[str, str | None]:
        """The columns of an output schema, NULL where the text does not have them."""
        try:
            parts = json.loads(self.text)
        except ValueError:
            parts = {}
        given = parts if isinstance(parts, dict) and not (self.status or self.silent) else {}
        return {name: given.get(name) for name in names}


@dataclass
class RemoteModel:
    """A model that answers by `answer`, which gets the prompt and how many times it was asked
    before; jobs: the prompts of each job; statements: the text of each."""

    answer: Callable[[str, int], Said]
    jobs: list[list[str]] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    address: str = ""
    target: str = ""

    @property
    def prompts(self) -> list[str]:
        return [prompt for job in self.jobs for prompt in job]

    def rewrite(self, method: str, path: str, body: bytes) -> bytes:
        if method != "POST" or not body.startswith(b"{"):
            return body
        request = json.loads(body)
        configuration = request.get("configuration", {})
        asked = configuration.get("query", {})
        statement = asked.get("query", "")
        if not any(name in statement for name in CALLED):
            return body
        values = {
            given["name"]: given["parameterValue"].get("value")
            for given in asked.get("queryParameters", [])
        }
        dry = bool(configuration.get("dryRun"))
        asked["query"] = self._answered(statement, values, dry)
        if not dry:
            self.statements.append(statement)
        return json.dumps(request).encode()

    def _answered(self, statement: str, values: Mapping[str, str], dry: bool) -> str:
        tree = sqlglot.parse_one(statement, read="bigquery")
        for table in [*tree.find_all(exp.Table)]:
            if isinstance(table.this, exp.GenerateTable | exp.GenerateText):
                table.replace(self._relation(table.this, dry))
        for call in [*tree.find_all(exp.AIGenerate)]:
            call.parent.replace(self._value(call, values, dry))
        for call in [*tree.find_all(exp.Anonymous)]:
            if call.name == "COUNT_TOKENS":
                call.parent.replace(_counted(call.expressions[0]))
        return tree.sql("bigquery")

    def _say(self, prompts: list[str]) -> list[Said]:
        before = self.prompts
        self.jobs.append(prompts)
        return [self.answer(prompt, before.count(prompt)) for prompt in prompts]

    def _relation(self, call: exp.Expression, dry: bool) -> exp.Subquery:
        """The input's columns, and those of the function."""
        options = {
            one.this.name: one.expression for one in call.args["params_struct"].expressions
        }
        asked = [] if dry else self._rows(call.expression.sql("bigquery"))
        said = [] if dry else self._say([row["prompt"] for row in asked])
        rows = []
        for row, one in zip(asked, said, strict=True):
            if isinstance(call, exp.GenerateTable):
                names = output_schema(options["output_schema"].name)
                row = row | one.columns([*names]) | {"full_response": one.response(),
                                                     "status": one.status}  # fmt: skip
            else:
                row = row | {"ml_generate_text_result": one.response(),
                             "ml_generate_text_status": one.status}  # fmt: skip
            rows.append(row)
        names = ["prompt_hash", "attempt", "prompt"]
        if isinstance(call, exp.GenerateTable):
            names += [*output_schema(options["output_schema"].name), "full_response", "status"]
        else:
            names += ["ml_generate_text_result", "ml_generate_text_status"]
        selects = [_select(names, row) for row in rows or [dict.fromkeys(names)]]
        union = selects[0]
        for select in selects[1:]:
            union = exp.Union(this=union, expression=select, distinct=False)
        if not rows:
            union = exp.select("*").from_(union.subquery("nothing")).where(exp.false())
        return union.subquery("generated")

    def _value(
        self, call: exp.Expression, values: Mapping[str, str], dry: bool
    ) -> exp.Expression:
        given = {one.this.name: one.expression for one in call.expressions}
        names = output_schema(given["output_schema"].name)
        one = Said(silent=True) if dry else self._say([values[given["prompt"].name]])[0]
        row = one.columns([*names]) | {"full_response": one.response(), "status": one.status}
        fields = [exp.alias_(_literal(name, row[name]), name) for name in row]
        return exp.Struct(expressions=fields)

    def _rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of the input, by asking the emulator."""
        answer = requests.post(
            f"{self.target}/bigquery/v2/projects/{PROJECT}/queries",
            json={
                "query": f"SELECT prompt_hash, attempt, prompt FROM {table}",
                "useLegacySql": False,
                "maxResults": 10_000,
            },
            timeout=60,
        )
        answer.raise_for_status()
        cells = [[cell["v"] for cell in row["f"]] for row in answer.json().get("rows", [])]
        return [
            {"prompt_hash": one, "attempt": int(other), "prompt": prompt}
            for one, other, prompt in cells
        ]


def output_schema(text: str) -> dict[str, str]:
    """The names and types in an output schema."""
    return dict(field.split() for field in text.split(","))


@contextmanager
def remote_model(
    emulator: str, answer: Callable[[str, int], Said]
) -> Iterator[tuple[RemoteModel, Relay]]:
    """A relay in front of the emulator that has a model."""
    with relay(emulator) as running:
        model = RemoteModel(answer, address=running.address, target=emulator)
        running.rewrite = model.rewrite
        yield model, running


def _counted(text: exp.Expression) -> exp.Expression:
    """A token for every four bytes, begun ones too."""
    size = exp.func("BYTE_LENGTH", text.copy(), dialect="bigquery")
    tokens = exp.cast(exp.func("CEIL", size / 4), "INT64", dialect="bigquery")
    return exp.Struct(expressions=[exp.alias_(tokens, "result"),
                                   exp.alias_(exp.null(), "full_response")])  # fmt: skip


def _select(names: list[str], row: Mapping[str, Any]) -> exp.Select:
    return exp.select(*[exp.alias_(_literal(name, row[name]), name) for name in names])


def _literal(name: str, value: Any) -> exp.Expression:
    if name in ("full_response", "ml_generate_text_result"):
        text = exp.cast(exp.convert(value), "STRING", dialect="bigquery")
        return exp.ParseJSON(this=text)
    kind = "INT64" if name == "attempt" else "STRING"
    return exp.cast(exp.convert(value), kind, dialect="bigquery")


def _camel(given: Any) -> Any:
    if isinstance(given, dict):
        return {
            name.split("_")[0] + "".join(map(str.capitalize, name.split("_")[1:])): _camel(value)
            for name, value in given.items()
        }
    return [*map(_camel, given)] if isinstance(given, list) else given
