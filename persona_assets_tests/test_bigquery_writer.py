"""E-mails from a model inside BigQuery, through the graph: paid for once, whatever rows come back.

The client is the real one and the emulator runs every statement; a relay between them answers the
AI functions, and those only, at their documented columns.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest

from persona_assets import schemas
from persona_assets.copywriting.bigquery_writer import BigQueryWriter
from persona_assets.copywriting.writer import ATTEMPTS
from persona_assets.definitions import build_defs, build_warehouse
from persona_assets.doctor import examine
from persona_assets.errors import PersonaError
from persona_assets.settings import Settings, load_settings
from persona_assets.warehouse import DuckDBWarehouse
from persona_assets.warehouse.bigquery import BigQueryWarehouse

from .emulator import PROJECT
from .remote_model import RETRYABLE, USAGE, RemoteModel, Said, remote_model
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
    job = build_defs(
        settings, warehouse=warehouse, writer=writer
    ).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey("emails")],
            partition_key="en",
            run_config={"ops": {"emails": {"config": {"customers": customers,
                                                      "languages": ["en"]}}}},
        )  # fmt: skip
    (made,) = done.get_asset_materialization_events()
    metadata = made.step_materialization_data.materialization.metadata
    return SimpleNamespace(
        published=metadata["dagster/partition_row_count"].value,
        **{name: value.value for name, value in metadata.items() if name.isidentifier()},
    )


def drafts(settings: Settings) -> list[dict[str, Any]]:
    """The drafts of the settings' writer."""
    warehouse = build_warehouse(settings)
    name = BigQueryWriter.from_settings(settings, warehouse).name
    text = (
        "SELECT prompt_hash, attempt, status, problems, cost_usd, input_tokens, output_tokens "
        "FROM persona.drafts WHERE writer = @writer ORDER BY prompt_hash, attempt"
    )
    return warehouse.read(query(text), {"writer": name}).to_pylist()


def own(prompts: Sequence[str]) -> list[str]:
    """The prompts without what was added about an earlier draft."""
    return [prompt.split("\n\nAn earlier draft")[0] for prompt in prompts]


def left_over(settings: Settings) -> list[str]:
    return build_warehouse(settings).names("_")


def test_every_prompt_is_paid_for_once_and_an_unchanged_one_never_again(settings, asked):
    model = asked()
    first = write(settings, chunk=10)
    assert [len(job) for job in model.jobs] == [10, 10, 4]
    assert set(Counter(model.prompts).values()) == {1}
    assert (first.published, first.drafts_written) == (CUSTOMERS, CUSTOMERS)
    assert first.cost_usd == pytest.approx(CUSTOMERS * COST)
    jobs = len(model.statements)
    again = write(settings, chunk=10)
    assert len(model.statements) == jobs
    assert (again.published, again.drafts_written, again.cost_usd) == (CUSTOMERS, 0, 0.0)
    assert left_over(settings) == []


def test_no_name_and_no_address_reaches_the_model(settings, asked):
    model = asked()
    write(settings)
    assert "@" not in "".join(model.prompts)


def test_rows_that_failed_for_the_moment_and_only_these_are_asked_for_again(settings, asked):
    failing: set[str] = set()

    def unsteady(prompt: str, asked_before: int) -> Said:
        if len(failing) < 6 and asked_before == 0:
            failing.add(prompt)
            return Said(status=RETRYABLE) if len(failing) % 2 else Said(silent=True)
        return fine(prompt)

    model = asked(unsteady)
    done = write(settings)
    assert [len(job) for job in model.jobs] == [CUSTOMERS, 6]
    assert {*model.jobs[1]} == failing
    assert done.published == CUSTOMERS
    assert {draft["attempt"] for draft in drafts(settings)} == {1}
    assert done.cost_usd == pytest.approx(CUSTOMERS * COST)


def test_what_keeps_failing_is_asked_for_three_times_and_then_named(settings, asked):
    model = asked(lambda prompt, before: Said(status=RETRYABLE) if "cart" in prompt
                  else fine(prompt))  # fmt: skip
    with pytest.raises(PersonaError, match="got no answer from bigquery:some-model"):
        write(settings)
    times = Counter(model.prompts)
    failing = {prompt for prompt in times if "cart" in prompt}
    assert failing and {times[prompt] for prompt in failing} == {ATTEMPTS}
    assert {times[prompt] for prompt in times.keys() - failing} == {1}
    assert len(drafts(settings)) == CUSTOMERS - len(failing)
    model.answer = fine
    assert write(settings).published == CUSTOMERS
    assert {*model.jobs[-1]} == failing


def test_a_quota_that_is_used_up_is_named_before_it_is_asked_again(settings, asked):
    model = asked(lambda prompt, before: Said(status=RETRYABLE))
    with pytest.raises(PersonaError, match=r"none of 24 prompts an answer \(A retryable error"):
        write(settings)
    assert len(model.jobs) == 1
    assert drafts(settings) == []


def test_an_error_that_stays_is_recorded_and_never_taken_as_done(settings, asked):
    unwanted: list[str] = []

    def some(prompt: str, asked_before: int) -> Said:
        if not unwanted or own([prompt]) == unwanted:
            unwanted[:] = own([prompt])
            return Said(status="INVALID_ARGUMENT: blocked", usage=None)
        return fine(prompt)

    model = asked(some)
    done = write(settings, refused="leave_out")
    assert [len(job) for job in model.jobs] == [CUSTOMERS, 1, 1]
    assert (done.published, done.left_out) == (CUSTOMERS - 1, 1)
    refused = [draft for draft in drafts(settings) if draft["status"] == "rejected"]
    assert [draft["attempt"] for draft in refused] == [1, 2, 3]
    assert {problem for draft in refused for problem in draft["problems"]} == {
        "model: INVALID_ARGUMENT: blocked"
    }
    assert {draft["cost_usd"] for draft in refused} == {0.0}


def test_a_missing_role_stops_the_run_and_leaves_no_drafts(settings, asked):
    asked(lambda prompt, before: Said(status="PERMISSION_DENIED: aiplatform.endpoints.predict"))
    with pytest.raises(PersonaError, match="persona bigquery setup"):
        write(settings)
    assert drafts(settings) == []


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (lambda parts: Said(json.dumps(parts), finish_reason="MAX_TOKENS"),
         "finish reason: max_tokens"),
        (lambda parts: Said("", finish_reason="MAX_TOKENS"), "structure: the answer is empty"),
        (lambda parts: Said('{"subject": "A linen'), "structure: the answer is not one JSON"),
        (lambda parts: Said(json.dumps(parts | {"body": None})),
         "structure: the object lacks body"),
        (lambda parts: Said(json.dumps(parts | {"body": "Dear [Your Name]," + parts["body"]})),
         "placeholder"),
    ],
    ids=["cut off", "all thought", "malformed", "a column is NULL", "gate"],
)  # fmt: skip
@pytest.mark.parametrize("function", ["AI.GENERATE_TABLE", "ML.GENERATE_TEXT"])
def test_an_answer_that_is_no_email_is_asked_for_again_with_the_reason(
    settings, asked, function, said, problem
):
    def first_time(prompt: str, asked_before: int) -> Said:
        if "An earlier draft was refused" in prompt:
            return fine(prompt, camel=True)
        return said(letter(SimpleNamespace(prompt=prompt)))

    model = asked(first_time)
    done = write(settings, customers=2, bigquery_function=function)
    found = drafts(settings.model_copy(update={"bigquery_function": function}))
    assert (done.published, done.drafts_refused) == (2, 2)
    assert [draft["status"] for draft in found] == ["rejected", "accepted"] * 2
    problems = ";".join(found[0]["problems"])
    if function == "ML.GENERATE_TEXT":  # which keeps what is NULL in a column
        problem = problem.replace("the object lacks body", "body must be text")
    assert problem in problems
    assert all(problem.split(":")[0] in prompt for prompt in model.jobs[1])
    assert all(draft["cost_usd"] == pytest.approx(COST) for draft in found)


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


def test_a_job_that_fails_keeps_what_the_jobs_before_it_brought(settings, asked):
    model = asked()

    def second(method: str, path: str, body: bytes) -> bool:
        return b"AI.GENERATE_TABLE" in body and b'"dryRun": true' not in body and bool(model.jobs)

    model.wire.hit = second
    model.wire.faults[:] = [Fault(403, "quotaExceeded", "Quota exceeded: rows of some-model")]
    with pytest.raises(PersonaError, match="a quota of BigQuery is used up"):
        write(settings, chunk=10)
    assert len(drafts(settings)) == len(model.prompts) == 10
    assert write(settings, chunk=10).published == CUSTOMERS
    assert set(Counter(model.prompts).values()) == {1}


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


def test_the_notebooks_way_keeps_tokens_and_ending_and_does_not_think(settings, asked):
    model = asked()
    done = write(
        settings,
        bigquery_function="ML.GENERATE_TEXT",
        model="gemini-2.5-flash",
        max_output_tokens=300,
        temperature=0.7,
    )
    assert done.published == CUSTOMERS
    assert done.output_tokens == 200 * len(model.prompts)
    (statement,) = model.statements
    assert "ML.GENERATE_TEXT(MODEL " in statement
    assert "FALSE AS flatten_json_output" in statement
    sent = json.loads(statement.split("JSON '")[1].split("' AS model_params")[0])
    config = sent["generation_config"]
    assert (config["max_output_tokens"], config["temperature"]) == (300, 0.7)
    assert config["thinking_config"] == {"thinking_budget": 0}


def test_an_answer_that_does_not_say_its_tokens_is_charged_as_the_most_it_can_be(settings, asked):
    asked(lambda prompt, before: fine(prompt, usage=None))
    write(settings, customers=1)
    (draft,) = drafts(settings)
    assert draft["input_tokens"] > 500 and draft["output_tokens"] > 300
    assert draft["cost_usd"] == pytest.approx(
        (draft["input_tokens"] + 10 * draft["output_tokens"]) / 1e6
    )
    assert USAGE["prompt_token_count"] == 400


def test_segments_are_labelled_by_the_model_and_a_bad_label_is_asked_for_again(settings, asked):
    names = iter(["One two three four five six", *map(str, "ABCDEFGHIJKLMNOPQRST")])

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
    assert [row["segment_label"] for row in found] == [*"ABCDEFGHIJ"][: len(found)]
    assert {row["writer"] for row in found} == {"gemini-2.5-flash"}
    assert len(model.jobs) == len(found) + 2
    assert "the label has more than 5 words" in model.prompts[1]
    assert f"connection_id => '{PROJECT}.us.persona'" in model.statements[0]
    assert '"thinking_budget": 0' in model.statements[0]


def test_the_estimate_names_the_model_and_the_doctor_its_place(settings, asked):
    model = asked()
    done = write(settings, customers=3)
    assert done.estimate.startswith("3 calls") and MODEL in done.estimate
    findings = {finding.what: finding for finding in examine(settings)}
    place = f"{PROJECT}.{settings.bigquery_dataset}.copywriter"
    assert findings["writer"].said.startswith(f"{MODEL} as {place} by AI.GENERATE_TABLE, prices")
    assert model.jobs
