"""E-mails from a model inside BigQuery, through the graph: paid for once, whatever rows come back.

The client is the real one and the emulator runs every statement; a relay between them answers the
AI functions, and those only, at their documented columns.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from itertools import count
from math import ceil
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest

from persona_assets import schemas
from persona_assets.assets.emails import estimate_work
from persona_assets.copywriting.asking import SYSTEM
from persona_assets.copywriting.bigquery_writer import COUNTED, BigQueryWriter
from persona_assets.copywriting.brief import Brief, Draft
from persona_assets.copywriting.chat_writer import ChatWriter
from persona_assets.copywriting.money import Budget, Estimate, Price
from persona_assets.copywriting.writer import ATTEMPTS
from persona_assets.definitions import build_defs, build_warehouse
from persona_assets.doctor import _writer
from persona_assets.errors import PersonaError
from persona_assets.settings import Settings, load_settings
from persona_assets.warehouse import DuckDBWarehouse
from persona_assets.warehouse.bigquery import BigQueryWarehouse

from .copywriting.samples import brief as sample
from .emulator import PROJECT, make_warehouse
from .english import write_english
from .remote_model import RETRYABLE, RemoteModel, Said, remote_model
from .test_drafts import letter
from .warehouse.tables import query
from .warehouse.wire import Fault

pytestmark = pytest.mark.bigquery
MODEL = "some-model"
CUSTOMERS = 24
PRICES = f'date = 2026-11-01\n["{MODEL}"]\ninput = 1.0\noutput = 10.0\n'
COST = (400 * 1 + 200 * 10) / 1e6
SOURCES = {model.__name__ for model in schemas.SOURCES}
_names = count(1)


def fine(prompt: str, asked_before: int = 0, **changes: Any) -> Said:
    """An e-mail of its own for each prompt."""
    return Said(json.dumps(letter(SimpleNamespace(prompt=prompt))), **changes)


@pytest.fixture(scope="module")
def dataset(finished_home, emulator) -> str:
    """A dataset, and a shop beside it, with the tables of a finished run; no drafts of a model."""
    name = f"persona_{uuid4().hex[:12]}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGQUERY_EMULATOR_HOST", emulator)
        warehouse = build_warehouse(on_bigquery(name))
        here = DuckDBWarehouse(finished_home.warehouse_file)
        for model in schemas.Table.__subclasses__():
            table, schema = model.__name__, schemas.arrow_schema(model)
            place = "thelook_ecommerce" if table in SOURCES else "persona"
            if table in {"events", "order_items"}:  # many rows, and no e-mail is made from them
                batches: Any = []
            else:
                text = f"SELECT {', '.join(schema.names)} FROM {place}.{table}"
                batches = here.stream(query(text), {}, 10_000)
            write = warehouse.load_source if table in SOURCES else warehouse.replace
            write(table, schema, (batch.cast(schema) for batch in batches))
    return name


def on_bigquery(dataset: str, **given: Any) -> Settings:
    return load_settings(
        warehouse="bigquery",
        bigquery_project=PROJECT,
        bigquery_dataset=dataset,
        bigquery_source=f"{PROJECT}.shop_{dataset.removeprefix('persona_')}",
        **given,
    )


@pytest.fixture
def settings(dataset, tmp_path) -> Settings:
    """A home that writes with the model of BigQuery; its writer is no other test's."""
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES, encoding="utf-8")
    return on_bigquery(
        dataset,
        home=tmp_path / "home",
        writer="bigquery",
        model=MODEL,
        prices_file=prices,
        temperature=next(_names) / 1_000,
    )


@pytest.fixture
def asked(emulator, monkeypatch) -> Iterator[Callable[..., RemoteModel]]:
    """Puts a model that answers like this between the client and the emulator."""
    running = []

    def start(answer: Callable[[str, int], Said] = fine) -> RemoteModel:
        relay = remote_model(emulator, answer)
        model, model.wire = relay.__enter__()
        running.append(relay)
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", model.address)
        return model

    yield start
    for relay in running:
        relay.__exit__(None, None, None)


def write(
    settings: Settings, customers: int = CUSTOMERS, chunk: int = 10_000, **changes: Any
) -> SimpleNamespace:
    """Materialize the English e-mails; what was shown of them."""
    settings = settings.model_copy(update=changes)
    warehouse = build_warehouse(settings)
    writer = BigQueryWriter.from_settings(settings, warehouse)
    writer.chunk = chunk
    return write_english(build_defs(settings, warehouse=warehouse, writer=writer), customers)


def drafts(settings: Settings) -> list[dict[str, Any]]:
    """The drafts of the settings' writer."""
    warehouse = build_warehouse(settings)
    name = BigQueryWriter.from_settings(settings, warehouse).name
    text = (
        "SELECT prompt_hash, attempt, status, problems, cost_usd, input_tokens, output_tokens "
        "FROM persona.drafts WHERE writer = @writer ORDER BY prompt_hash, attempt"
    )
    return warehouse.read(query(text), {"writer": name}).to_pylist()


def own(prompt: str) -> str:
    """The prompt without what was added about an earlier draft."""
    return prompt.split("\n\nAn earlier draft")[0]


def left_over(settings: Settings) -> list[str]:
    return build_warehouse(settings).names("_")


def alone(function: str = "AI.GENERATE_TABLE", **given: Any) -> BigQueryWriter:
    """A writer in a dataset of its own, without the graph."""
    given = {"model": MODEL, "temperature": 0.7, "max_tokens": 500} | given
    price = Price(1.0, 10.0, date(2026, 11, 1))
    return BigQueryWriter(make_warehouse(), "copywriter", function=function, price=price, **given)


def brief(number: int, **given: Any) -> Brief:
    return sample("en", prompt_hash=f"{number:064x}", prompt=f"Prompt {number}, 漢字 'x'.", **given)


def written(writer: BigQueryWriter, briefs: list[Brief], budget: Budget | None = None) -> list:
    found: list[Draft] = []
    for _ in writer.write(briefs, lambda brief, draft: found.append(draft), budget or Budget()):
        pass
    return found


# Through the graph


def test_every_prompt_is_paid_for_once_and_an_unchanged_one_never_again(settings, asked):
    model = asked()
    first = write(settings, chunk=10)
    assert [len(job) for job in model.jobs] == [10, 10, 4]
    assert set(Counter(model.prompts).values()) == {1}
    assert (first.published, first.drafts_written) == (CUSTOMERS, CUSTOMERS)
    assert first.cost_usd == pytest.approx(CUSTOMERS * COST)
    assert first.estimate.startswith("24 calls") and MODEL in first.estimate
    assert "@" not in "".join(model.prompts)  # no address, as in no prompt
    jobs = len(model.statements)
    again = write(settings, chunk=10)
    assert len(model.statements) == jobs
    assert (again.published, again.drafts_written, again.cost_usd) == (CUSTOMERS, 0, 0.0)
    assert left_over(settings) == []


def test_only_what_got_no_email_is_asked_for_again_and_an_error_that_stays_never_counts(
    settings, asked
):
    """Of the first prompts, four fail for the moment, one for good, three are no e-mail."""
    places: dict[str, int] = {}

    def answer(prompt: str, asked_before: int) -> Said:
        place = places.setdefault(own(prompt), len(places))
        if place == 4:
            return Said(status="INVALID_ARGUMENT: it will not do")
        if asked_before or prompt != own(prompt):
            return fine(prompt)
        parts = letter(SimpleNamespace(prompt=prompt))
        return {
            0: Said(status=RETRYABLE),
            1: Said(silent=True),
            2: Said(status="UNAVAILABLE"),
            3: Said(status=RETRYABLE),
            5: Said(json.dumps(parts), finish_reason="MAX_TOKENS"),
            6: Said('{"subject": "A linen'),
            7: Said(json.dumps({"subject": "A", "body": parts["body"]})),
        }.get(place, fine(prompt))

    model = asked(answer)
    done = write(settings, refused="leave_out")
    assert [len(job) for job in model.jobs] == [CUSTOMERS, 8, 1]
    assert {*map(own, model.jobs[1])} == {*list(places)[:8]}
    assert own(model.jobs[2][0]) == list(places)[4]
    assert (done.published, done.left_out, done.drafts_refused) == (CUSTOMERS - 1, 1, 6)
    refused = [draft for draft in drafts(settings) if draft["status"] == "rejected"]
    problems = Counter(problem for draft in refused for problem in draft["problems"])
    assert problems == {
        "model: INVALID_ARGUMENT: it will not do": 3,
        "finish reason: max_tokens": 1,
        "structure: the answer is not one JSON object and nothing else": 1,
        "structure: the object lacks preheader": 1,
    }
    assert done.cost_usd == pytest.approx((CUSTOMERS - 1 + 3) * COST)  # an error costs nothing


def test_what_keeps_failing_is_asked_for_three_times_and_then_named(settings, asked):
    first: list[str] = []

    def one_fails(prompt: str, asked_before: int) -> Said:
        first[:] = first or [prompt]
        return Said(status=RETRYABLE) if prompt in first else fine(prompt)

    model = asked(one_fails)
    with pytest.raises(PersonaError, match="1 prompts in en got no answer from bigquery:some-mod"):
        write(settings)
    times = Counter(model.prompts)
    assert times.pop(first[0]) == ATTEMPTS
    assert set(times.values()) == {1}
    assert len(drafts(settings)) == CUSTOMERS - 1


def test_each_job_asks_for_as_many_as_the_budget_allows_and_a_later_run_goes_on(settings, asked):
    model = asked()
    with pytest.raises(PersonaError, match="PERSONA_BUDGET_USD") as stopped:
        write(settings, customers=40, budget_usd=0.05, max_output_tokens=500)
    assert stopped.value.exit_code == 1
    assert len(model.jobs) > 1
    assert 0.05 - 0.01 < len(model.prompts) * COST <= 0.05
    kept = len(model.prompts)
    done = write(settings, customers=40, max_output_tokens=500)
    assert set(Counter(model.prompts).values()) == {1}
    assert (done.published, done.drafts_written) == (40, len(model.prompts) - kept)


def test_answers_that_a_killed_run_has_paid_for_are_taken_and_not_asked_for_again(
    settings, asked, monkeypatch
):
    model = asked()
    with monkeypatch.context() as patch:
        read = BigQueryWarehouse.rows

        def killed(warehouse: Any, table: str, *rest: Any) -> Any:
            if table.startswith("_answers") and len(model.jobs) == 2:
                raise KeyboardInterrupt
            return read(warehouse, table, *rest)

        patch.setattr(BigQueryWarehouse, "rows", killed)
        with pytest.raises(KeyboardInterrupt):
            write(settings, chunk=10)
    assert [len(job) for job in model.jobs] == [10, 10]
    done = write(settings, chunk=10)
    assert [len(job) for job in model.jobs] == [10, 10, 4]
    assert set(Counter(model.prompts).values()) == {1}
    assert (done.published, done.drafts_written) == (CUSTOMERS, CUSTOMERS - 10)
    assert done.cost_usd == pytest.approx((CUSTOMERS - 10) * COST)
    assert left_over(settings) == []


def test_segments_are_labelled_by_the_model_and_a_bad_label_is_asked_for_again(settings, asked):
    labels = [f"{letter} people" for letter in "ABCDEFGHIJKLMNOPQRST"]
    names = iter(["One two three four five six", *labels])

    def label(prompt: str, asked_before: int) -> Said:
        if asked_before == 0 and len(model.jobs) == 2:
            return Said(status=RETRYABLE)
        parts = {"label": next(names), "designation": "People.", "tone": "warm"}
        return Said(json.dumps(parts))

    model = asked(label)
    given = settings.model_copy(update={"labels": "hand_off", "model": "gemini-2.5-flash"})
    job = build_defs(given).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey("segment_labels")]
        )
    found = build_warehouse(given).read(
        query("SELECT segment_label, method, writer FROM persona.segment_labels "
              "WHERE method = 'hand_off' ORDER BY segment"), {},
    ).to_pylist()  # fmt: skip
    assert [row["segment_label"] for row in found] == labels[: len(found)]
    assert {row["writer"] for row in found} == {"gemini-2.5-flash"}
    assert len(model.jobs) == len(found) + 2
    assert "the label has more than 5 words" in model.prompts[1]
    assert f"connection_id => '{PROJECT}.us.persona'" in model.statements[0]
    assert '"thinking_budget": 0' in model.statements[0]


def estimate(settings: Settings, *languages: str) -> Estimate:
    warehouse = build_warehouse(settings)
    writer = BigQueryWriter.from_settings(settings, warehouse)
    return estimate_work(warehouse, writer, languages, "~")


def test_before_the_first_email_bigquery_counts_the_tokens_it_will_read(settings, asked):
    model = asked()
    found = estimate(settings, "en", "ko")
    text = "SELECT DISTINCT prompt FROM persona.final_prompts WHERE language IN ('en', 'ko')"
    prompts = build_warehouse(settings).read(query(text), {})["prompt"].to_pylist()
    sizes = [len(f"{SYSTEM}\n\n{prompt}".encode()) for prompt in prompts]
    assert found.calls == len(sizes) < COUNTED
    assert found.input_tokens == pytest.approx(sum(ceil(size / 4) for size in sizes), abs=2)
    assert len(model.statements) == 2 and model.prompts == []  # nothing was asked
    write(settings)
    counted = len(model.statements)
    assert estimate(settings, "en").calls > 0
    assert len(model.statements) == counted  # from now on by what was really read


def test_where_tokens_cannot_be_counted_the_estimate_is_from_characters(
    settings, emulated, caplog
):
    caplog.set_level(logging.WARNING)  # the emulator's is higher
    found = estimate(settings, "en", "ko")
    chat = settings.model_copy(update={"writer": "chat", "openai_base_url": "http://127.0.0.1:9"})
    warehouse = build_warehouse(settings)
    wanted = estimate_work(warehouse, ChatWriter.from_settings(chat), ["en", "ko"], "~")
    assert found == wanted and found.input_tokens > 0
    (said,) = [one for one in caplog.messages if "AI.COUNT_TOKENS" in one]
    assert "sql/generate/prompt_tokens.sql" in said


# The writer alone


def test_a_quota_that_is_used_up_is_named_and_not_asked_again(asked):
    model = asked(lambda prompt, before: Said(status=RETRYABLE))
    kept = []
    with pytest.raises(PersonaError, match=r"none of 12 prompts an answer \(A retryable error"):
        for _ in alone().write(
            [brief(n) for n in range(12)], lambda *draft: kept.append(draft), Budget()
        ):
            pass
    assert (len(model.jobs), kept) == (1, [])


@pytest.mark.parametrize("status", ["PERMISSION_DENIED: predict", "INVALID_ARGUMENT: no thinking"])
def test_what_is_wrong_with_every_row_stops_the_run_and_leaves_no_drafts(asked, status):
    asked(lambda prompt, before: Said(status=status))
    kept = []
    with pytest.raises(PersonaError, match=f"{status}.*persona bigquery setup"):
        for _ in alone().write(
            [brief(n) for n in range(12)], lambda *draft: kept.append(draft), Budget()
        ):
            pass
    assert kept == []


@pytest.mark.parametrize("function", ["AI.GENERATE_TABLE", "ML.GENERATE_TEXT"])
def test_whatever_comes_back_becomes_a_draft_that_says_what_is_wrong(asked, function):
    parts = {"subject": "S", "preheader": "P\r\n", "body": "First.\n\n漢字 \\ 'x'"}
    texts = [
        Said(json.dumps(parts)),
        Said(json.dumps(parts), camel=True),
        Said(json.dumps(parts), finish_reason="MAX_TOKENS"),
        Said("", finish_reason="MAX_TOKENS"),
        Said('{"subject": "A linen'),
        Said(json.dumps({"subject": "S", "preheader": "P"})),
        Said(json.dumps(parts), usage=None),
        Said("", finish_reason="SAFETY"),
    ]
    model = asked(lambda prompt, before: texts[int(prompt.split("Prompt ")[1].split(",")[0])])
    writer = alone(function)
    briefs = [brief(n) for n in range(len(texts))]
    found = sorted(written(writer, briefs), key=lambda draft: draft.prompt_hash)
    assert [(draft.finish_reason, draft.problems) for draft in found] == [
        ("stop", ()),
        ("stop", ()),
        ("max_tokens", ()),
        ("max_tokens", ("structure: the answer is empty",)),
        ("stop", ("structure: the answer is not one JSON object and nothing else",)),
        ("stop", ("structure: the object lacks body",)),
        ("stop", ()),
        ("safety", ("structure: the answer is empty",)),
    ]
    assert (found[1].subject, found[1].preheader, found[1].body) == ("S", "P", parts["body"])
    assert found[4].body == '{"subject": "A linen'
    assert {(draft.input_tokens, draft.output_tokens) for draft in found[:6]} == {(400, 200)}
    assert found[6].cost_usd <= writer.worst_case(briefs[6])
    assert found[6].input_tokens > 500 and found[6].output_tokens > 50
    assert {draft.writer for draft in found} == {writer.name}
    assert len(model.jobs) == 1


def test_a_job_that_fails_costs_its_worst_case_and_takes_nothing_from_those_before(asked):
    model = asked()
    model.wire.hit = lambda method, path, body: (
        b"AI.GENERATE_TABLE" in body and b'"dryRun": true' not in body and bool(model.jobs)
    )
    model.wire.faults[:] = [Fault(403, "quotaExceeded", "Quota exceeded: rows of some-model")]
    writer, budget, kept = alone(chunk=2), Budget(1.0), []
    briefs = [brief(n) for n in range(4)]
    with pytest.raises(PersonaError, match="a quota of BigQuery is used up"):
        for _ in writer.write(briefs, lambda *draft: kept.append(draft), budget):
            pass
    assert len(kept) == len(model.prompts) == 2
    assert budget.spent == pytest.approx(2 * COST + sum(map(writer.worst_case, briefs[2:])))


def test_the_notebooks_way_keeps_tokens_and_ending_and_does_not_think(asked):
    model = asked()
    writer = alone("ML.GENERATE_TEXT", model="gemini-2.5-flash", max_tokens=300)
    assert len(written(writer, [brief(1)])) == 1
    (statement,) = model.statements
    assert "ML.GENERATE_TEXT(MODEL " in statement
    assert "FALSE AS flatten_json_output" in statement
    sent = json.loads(statement.split("JSON '")[1].split("' AS model_params")[0])
    config = sent["generation_config"]
    assert (config["max_output_tokens"], config["temperature"]) == (300, 0.7)
    assert config["thinking_config"] == {"thinking_budget": 0}


def test_a_refused_draft_goes_to_the_model_with_the_reason(asked):
    model = asked()
    again = brief(1, attempt=2, refused_for=("length: <b>too long</b>",))
    (draft,) = written(alone(), [again])
    assert draft.attempt == 2
    assert "<data>\n- length:  b too long /b \n</data>" in model.prompts[0]


def test_another_way_of_writing_is_another_writer():
    names = {
        alone(**given).name
        for given in ({}, {"temperature": 0.1}, {"max_tokens": 400}, {"model": "another"},
                      {"function": "ML.GENERATE_TEXT"})
    }  # fmt: skip
    assert len(names) == 5
    assert alone().name == alone().name


def test_the_doctor_names_the_remote_model_and_its_price(settings):
    place = f"{PROJECT}.{settings.bigquery_dataset}.copywriter"
    found = _writer(settings)
    assert found.ok
    assert found.said == f"{MODEL} as {place} by AI.GENERATE_TABLE, prices of 2026-11-01"
