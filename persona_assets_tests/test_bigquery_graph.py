"""The whole graph on BigQuery, through its own client, with an emulator behind it."""

import os
from typing import Any
from uuid import uuid4

import dagster as dg
import pyarrow as pa
import pytest
from click.testing import CliRunner

from persona_assets import cli, run, schemas, trace
from persona_assets.checks import schema_failures
from persona_assets.definitions import build_defs, build_warehouse
from persona_assets.doctor import examine
from persona_assets.errors import InputError
from persona_assets.languages import LANGUAGES
from persona_assets.settings import Settings, load_settings
from persona_assets.warehouse import DuckDBWarehouse
from persona_assets_tests.emulator import PROJECT, make_warehouse

from .conftest import CUSTOMERS
from .warehouse.tables import query

pytestmark = pytest.mark.bigquery
# Not the text, in which each home has tokens of its own.
PAPERS = ("subject", "preheader", "language", "country", "lifecycle", "prompt_hash", "as_of")


@pytest.fixture(scope="module")
def finished(shop, finished_home, emulator, tmp_path_factory) -> Any:
    """Settings and summary of a run on the emulator that has written to everybody."""
    with pytest.MonkeyPatch.context() as patch:
        alone = uuid4().hex[:12]
        for name, value in {
            "BIGQUERY_EMULATOR_HOST": emulator,
            "PERSONA_WAREHOUSE": "bigquery",
            "PERSONA_BIGQUERY_PROJECT": PROJECT,
            "PERSONA_BIGQUERY_DATASET": f"persona_{alone}",
            "PERSONA_BIGQUERY_SOURCE": f"{PROJECT}.shop_{alone}",
            "PERSONA_SUPPRESSION_LIST": str(finished_home.suppression_list),
            "PERSONA_HOME": str(tmp_path_factory.mktemp("bigquery") / "home"),
        }.items():
            patch.setenv(name, value)
        loaded = CliRunner().invoke(cli.main, ["bigquery", "load", "--source", str(shop)])
        assert loaded.exit_code == 0, loaded.output
        assert f"{CUSTOMERS}  {PROJECT}.shop_{alone}.users" in loaded.output
        settings = load_settings()
        summary = run.run(settings, [*LANGUAGES], None)
        os.environ.pop("DAGSTER_HOME", None)
        yield settings, summary


def rows(warehouse: Any, text: str) -> list[dict[str, Any]]:
    return warehouse.read(query(text), {}).to_pylist()


def materialization(settings: Settings, monkeypatch, asset: str) -> dg.AssetMaterialization:
    monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    return event.asset_materialization


def test_the_same_shop_gives_the_same_emails_as_on_duckdb(finished, finished_home, emulated):
    settings, summary = finished
    text = f"SELECT user_id, {', '.join(PAPERS)} FROM persona.emails ORDER BY user_id"
    written = rows(build_warehouse(settings), text)
    assert written == rows(DuckDBWarehouse(finished_home.warehouse_file), text)
    assert summary.emails_total == len(written) > 0.9 * CUSTOMERS
    assert {row["language"] for row in written} == {*LANGUAGES}


def test_the_segments_are_those_of_duckdb(finished, finished_home, emulated):
    text = "SELECT user_id, segment FROM persona.customer_segments ORDER BY user_id"
    found = rows(build_warehouse(finished[0]), text)
    assert found == rows(DuckDBWarehouse(finished_home.warehouse_file), text)


def test_the_summary_says_where_the_tables_are_and_counts_the_source(finished):
    settings, summary = finished
    assert summary.warehouse == f"{PROJECT}.{settings.bigquery_dataset}"
    assert summary.rows["users"] == CUSTOMERS
    assert run.as_text(summary)


def test_the_source_is_observed_and_not_copied(finished, monkeypatch, emulated):
    settings, _ = finished
    monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
    with dg.DagsterInstance.get() as instance:
        assert instance.get_latest_materialization_event(dg.AssetKey("users")) is None
        seen = instance.fetch_observations(dg.AssetKey("users"), limit=1).records[0]
    observation = seen.event_log_entry.asset_observation
    assert observation.metadata["dagster/row_count"].value == CUSTOMERS
    assert observation.data_version
    assert not build_warehouse(settings).exists("users")


def test_a_materialization_shows_its_job(finished, monkeypatch):
    made = materialization(finished[0], monkeypatch, "parametric")
    assert made.metadata["dagster/storage_kind"].value == "bigquery"
    assert made.metadata["job_link"].value.startswith("https://console.cloud.google.com/bigquery")
    assert made.metadata["job_id"].value in made.metadata["job_link"].value
    assert made.metadata["job_bytes_expected"].value == 0  # the emulator does not know


def test_nothing_is_written_twice(finished, emulated):
    job = build_defs(finished[0]).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(
            asset_selection=[dg.AssetKey("emails")], partition_key="ko", instance=instance
        )
    (made,) = done.get_asset_materialization_events()
    metadata = made.step_materialization_data.materialization.metadata
    assert metadata["drafts_written"].value == 0
    assert metadata["dagster/partition_row_count"].value > 0


def test_a_trace_reaches_from_the_email_to_its_orders(finished, emulated):
    settings, summary = finished
    warehouse = build_warehouse(settings)
    (found,) = trace.trace(warehouse, [summary.example], settings)
    assert found["email"]["subject"] and found["numbers"] and found["prompt"]["prompt"]
    assert trace.as_text(found)


def test_what_breaks_the_model_of_a_table_is_the_same_as_on_duckdb(
    finished_home, emulated, tmp_path
):
    schema = schemas.arrow_schema(schemas.emails)
    text = f"SELECT {', '.join(schema.names)} FROM persona.emails ORDER BY user_id LIMIT 4"
    good = rows(DuckDBWarehouse(finished_home.warehouse_file), text)
    bad = {"email": "nobody", "language": "it", "subject": "", "attempt": 0, "writer": None}
    told = []
    for warehouse in (DuckDBWarehouse(tmp_path / "warehouse.duckdb"), make_warehouse()):
        batch = pa.RecordBatch.from_pylist([*good, good[0], good[1] | bad], schema=schema)
        warehouse.replace("emails", schema, [batch])
        with warehouse.ibis_table("emails") as table:
            found = schema_failures(schemas.emails, table)
        told.append([
            (one.rule, one.count, sorted(one.rows, key=lambda row: row["user_id"]))
            for one in found
        ])  # fmt: skip
    assert told[0] == told[1]
    assert [count for _, count, _ in told[0]] == [4, 1, 1, 1, 1, 1]


def test_no_staging_table_is_left(finished, emulated):
    warehouse = build_warehouse(finished[0])
    tables = {table.table_id for table in warehouse.jobs.client.list_tables(warehouse.place)}
    assert {"parametric", "final_prompts", "emails"} <= tables
    assert not {name for name in tables if name.startswith("_")}


def test_the_doctor_finds_everything(finished, emulated):
    findings = {finding.what: finding for finding in examine(finished[0])}
    assert all(findings[what].ok for what in ("bigquery", "warehouse", "source"))
    assert emulated in findings["bigquery"].said


def test_the_doctor_names_what_is_missing(emulated):
    settings = load_settings(
        warehouse="bigquery", bigquery_project=PROJECT, bigquery_source=f"{PROJECT}.nowhere"
    )
    findings = {finding.what: finding for finding in examine(settings)}
    assert not findings["source"].ok
    assert "PERSONA_BIGQUERY_SOURCE" in findings["source"].said


def test_a_run_without_its_source_stops_before_anything_is_written(emulated, tmp_path):
    settings = load_settings(
        warehouse="bigquery",
        bigquery_project=PROJECT,
        bigquery_dataset=f"persona_{uuid4().hex[:12]}",
        bigquery_source=f"{PROJECT}.nowhere",
        home=tmp_path / "home",
    )
    with pytest.raises(InputError, match=f"There is no dataset {PROJECT}.nowhere"):
        run.run(settings, ["en"], None)
    assert not build_warehouse(settings).exists("countries")


def test_loading_a_folder_says_that_its_suppression_list_has_to_be_named(emulated, make_source):
    folder = make_source()
    (folder / "suppression_list.csv").write_text("user_id,reason\n1,bounced\n")
    result = CliRunner().invoke(
        cli.main,
        ["bigquery", "load", "--source", str(folder)],
        env={
            "PERSONA_BIGQUERY_PROJECT": PROJECT,
            "PERSONA_BIGQUERY_SOURCE": f"{PROJECT}.shop_{uuid4().hex[:12]}",
        },
    )
    assert result.exit_code == 0
    assert f"Set PERSONA_SUPPRESSION_LIST={folder / 'suppression_list.csv'}" in result.output


def test_googles_own_dataset_is_not_loaded_into():
    result = CliRunner().invoke(
        cli.main,
        ["bigquery", "load"],
        env={"PERSONA_BIGQUERY_PROJECT": PROJECT, "PERSONA_SAMPLE_CUSTOMERS": "10"},
    )
    assert result.exit_code == 2
    assert "PERSONA_BIGQUERY_SOURCE" in result.output


def test_the_graph_on_bigquery_loads_without_reaching_anything(monkeypatch):
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
    settings = load_settings(warehouse="bigquery", bigquery_project=PROJECT)
    ours, theirs = build_defs(), build_defs(settings)
    assert {*theirs.resolve_all_asset_keys()} == {*ours.resolve_all_asset_keys()}
    graph = theirs.resolve_asset_graph()
    assert graph.get(dg.AssetKey("users")).is_observable
    assert not graph.get(dg.AssetKey("users")).is_materializable
    # The source is not loaded there.
    loadable = {
        dg.AssetCheckKey(dg.AssetKey(model.__name__), "can_be_loaded") for model in schemas.SOURCES
    }
    checks = {*ours.resolve_asset_graph().asset_check_keys}
    assert loadable < checks and {*graph.asset_check_keys} == checks - loadable
