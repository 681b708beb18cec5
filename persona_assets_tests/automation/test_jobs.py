"""The jobs, what their launchpads say, and what a person reads when one fails."""

import dagster as dg
import pytest
from dagster_graphql.client.query import LAUNCH_PIPELINE_EXECUTION_MUTATION
from dagster_graphql.test.utils import execute_dagster_graphql
from filelock import FileLock

from persona_assets import run, schemas
from persona_assets.assets.emails import emails
from persona_assets.definitions import build_defs
from persona_assets.errors import InputError, PersonaError, WarehouseBusy
from persona_assets.failures import told, told_error
from persona_assets.languages import LANGUAGES

from .work import change, one_customer_twice, rows

NUMBERS = ["cost_usd", "drafts_refused", "drafts_written", "dagster/partition_row_count",
           "query_seconds"]  # fmt: skip


@pytest.fixture
def definitions(home):
    return build_defs(home)


def execute(definitions: dg.Definitions, name: str, **options) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return definitions.resolve_job_def(name).execute_in_process(instance=instance, **options)


def failure_of(result: dg.ExecuteInProcessResult):
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    return failed.step_failure_data.user_failure_data


def test_the_jobs_together_make_everything(definitions):
    made = {
        name: {
            key.to_user_string()
            for key in definitions.resolve_job_def(name).asset_layer.selected_asset_keys
        }
        for name in ("load_source", "refresh", "segments", "write_emails")
    }
    everything = {key.to_user_string() for key in definitions.resolve_all_asset_keys()}
    assert made["refresh"] | made["write_emails"] | {"emails_report"} == everything
    assert made["load_source"] | made["segments"] < made["refresh"]
    assert made["write_emails"] == {"prompts_by_language", "emails"}
    job = definitions.resolve_job_def("write_emails")
    assert job.partitions_def.get_partition_keys() == [*LANGUAGES]
    assert definitions.resolve_job_def("refresh").partitions_def is None
    assert all(definitions.resolve_job_def(name).description for name in [*made, "export"])


def test_the_export_job_writes_the_files_that_the_command_writes(definitions, home):
    options = {"format": "jsonl", "languages": ["fr", "ja"]}
    done = execute(
        definitions, "export", run_config={"ops": {"export_emails": {"config": options}}}
    )
    assert done.success
    files = {file.name for file in (home.home / "exports").iterdir() if file.suffix == ".jsonl"}
    assert files == {"emails-fr.jsonl", "emails-ja.jsonl"}


def test_bad_input_is_a_short_failure_with_the_message(home, tmp_path):
    definitions = build_defs(home.model_copy(update={"source": tmp_path / "nowhere"}))
    done = execute(definitions, "load_source", raise_on_error=False)
    found = failure_of(done)
    assert found.description.startswith(f"The source {tmp_path / 'nowhere'} is not a folder")
    assert found.metadata["message"].value == found.description


def test_a_refused_source_is_said_on_its_table_and_what_was_loaded_stays(shop_home):
    loaded = rows(shop_home, "SELECT COUNT(*) FROM thelook_ecommerce.users")
    change(shop_home, "users", one_customer_twice)
    done = execute(build_defs(shop_home), "load_source", raise_on_error=False)
    checks = [c for c in done.get_asset_check_evaluations() if c.check_name == "can_be_loaded"]
    found = {check.asset_key.to_user_string(): check for check in checks}
    assert {*found} == {model.__name__ for model in schemas.SOURCES}
    assert {name for name, check in found.items() if not check.passed} == {"users"}
    said = "users.parquet: table users, column id: 1 value(s) more than once, such as 2."
    assert found["users"].description == failure_of(done).description
    assert found["users"].description.endswith(said)
    assert rows(shop_home, "SELECT COUNT(*) FROM thelook_ecommerce.users") == loaded


def test_a_check_that_cannot_be_made_says_why(home, tmp_path):
    home.warehouse_file.write_bytes(b"this is no DuckDB file" * 1000)
    found = failure_of(execute(build_defs(home), "segments", raise_on_error=False))
    assert str(home.warehouse_file) in found.description


@pytest.mark.parametrize(
    ("error", "retried"),
    [(InputError("bad"), False), (WarehouseBusy("busy"), True), (PersonaError("failed"), True)],
)
def test_bad_input_alone_is_not_worth_another_try(error, retried):
    @told
    def compute():
        raise error

    with pytest.raises(dg.Failure) as failure:
        compute()
    assert failure.value.allow_retries is retried
    assert told_error(failure.value) is error


@pytest.mark.parametrize("number", NUMBERS)
def test_what_the_emails_plot_over_time_are_numbers(finished_home, monkeypatch, number):
    monkeypatch.setenv("DAGSTER_HOME", str(finished_home.dagster_home))
    with dg.DagsterInstance.get() as instance:
        records = instance.fetch_materializations(emails.key, limit=20).records
    values = [record.asset_materialization.metadata[number] for record in records]
    assert len(values) == len(LANGUAGES)
    assert all(isinstance(v, dg.IntMetadataValue | dg.FloatMetadataValue) for v in values)


@pytest.mark.parametrize(
    ("asset", "numbers"),
    {
        "parametric": ["dagster/row_count", "query_seconds"],
        "cluster_metrics": ["k", "silhouette", "query_seconds"],
        "centroids": ["k", "query_seconds"],
        "customer_segments": ["customers_moved", "query_seconds"],
        "final_prompts": ["dagster/row_count", "query_seconds"],
        "prompts_by_language": ["dagster/partition_row_count", "estimated_calls",
                                "estimated_cost_usd"],
    }.items(),
)  # fmt: skip
def test_what_a_table_plots_over_time_is_a_number(finished_home, monkeypatch, asset, numbers):
    monkeypatch.setenv("DAGSTER_HOME", str(finished_home.dagster_home))
    with dg.DagsterInstance.get() as instance:
        (record,) = instance.fetch_materializations(dg.AssetKey(asset), limit=1).records
    metadata = record.asset_materialization.metadata
    for number in numbers:
        assert isinstance(metadata[number], dg.IntMetadataValue | dg.FloatMetadataValue), number


@pytest.mark.parametrize(
    ("job", "node", "options"),
    [
        ("write_emails", "emails", {"customers", "languages"}),
        ("refresh", "parametric", {"as_of"}),
        ("refresh", "centroids", {"k"}),
        ("refresh", "final_prompts",
         {"new_months", "active_months", "lapsed_months", "loyal_orders", "holdout"}),
        ("export", "export_emails", {"format", "languages", "template_id"}),
    ],
)  # fmt: skip
def test_the_launchpad_says_what_each_option_means(definitions, job, node, options):
    (found,) = [n for n in definitions.resolve_job_def(job).graph.nodes if n.name == node]
    fields = found.definition.config_schema.as_field().config_type.fields
    assert {*fields} == options
    assert all(field.description for field in fields.values())


@pytest.mark.parametrize(
    ("job", "node", "given", "said"),
    [
        ("write_emails", "emails", {"customers": 0}, "customers of emails is 0: it should be "
         "greater than or equal to 1."),
        ("write_emails", "emails", {"languages": ["fr", "xx"]}, "languages of emails is ['fr', "
         "'xx']: 'xx' is not one of ar, de, en"),
        ("segments", "centroids", {"k": 21}, "k of centroids is 21: it should be less than or "
         "equal to 20."),
        ("refresh", "final_prompts", {"holdout": 0.6}, "holdout of final_prompts is 0.6: it "
         "should be less than or equal to 0.5."),
        ("refresh", "parametric", {"as_of": "1.2.2024"}, "as_of of parametric is '1.2.2024': give "
         "a date as YYYY-MM-DD."),
        ("export", "export_emails", {"template_id": 0}, "template_id of export_emails is 0: it "
         "should be greater than or equal to 1."),
    ],
)  # fmt: skip
def test_an_option_out_of_bounds_is_refused_before_there_is_a_run(
    watch, instance, job, node, given, said
):
    runs = instance.get_runs_count()
    launched = execute_dagster_graphql(
        watch().context.create_request_context(),
        LAUNCH_PIPELINE_EXECUTION_MUTATION,
        {
            "executionParams": {
                "selector": {
                    "repositoryLocationName": "persona_assets",
                    "repositoryName": "__repository__",
                    "pipelineName": job,
                },
                "mode": "default",
                "runConfigData": {"ops": {node: {"config": given}}},
            }
        },
    )
    answer = launched.data["launchPipelineExecution"]
    assert answer["__typename"] == "PythonError"
    assert f"The option {said}" in answer["message"]
    assert instance.get_runs_count() == runs


def test_a_run_that_was_killed_does_not_block_the_queue_of_the_dagster_ui(home, monkeypatch):
    job = build_defs(home).resolve_implicit_global_asset_job_def()
    monkeypatch.setenv("DAGSTER_HOME", str(home.dagster_home))
    with dg.DagsterInstance.get() as instance:
        killed, other = (
            instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
            for tags in ({"persona/run": "some"}, {})
        )
        run.end_killed_runs(home)
        assert instance.get_run_by_id(killed.run_id).status is dg.DagsterRunStatus.FAILURE
        # Of a run that the UI launched only its own launcher knows.
        assert instance.get_run_by_id(other.run_id).status is dg.DagsterRunStatus.STARTED


def test_a_run_at_work_is_let_be(home, monkeypatch):
    job = build_defs(home).resolve_implicit_global_asset_job_def()
    monkeypatch.setenv("DAGSTER_HOME", str(home.dagster_home))
    with dg.DagsterInstance.get() as instance, FileLock(home.home / "run.lock"):
        at_work = instance.create_run_for_job(
            job, status=dg.DagsterRunStatus.STARTED, tags={"persona/run": "some"}
        )
        run.end_killed_runs(home)
        assert instance.get_run_by_id(at_work.run_id).status is dg.DagsterRunStatus.STARTED
