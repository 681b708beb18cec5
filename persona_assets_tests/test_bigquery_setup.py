"""`persona bigquery setup`, and what `persona doctor` says of a project, against a double of
Google's services."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from persona_assets import bigquery_setup, cli, doctor
from persona_assets.bigquery_setup import APIS, Clock, Setup
from persona_assets.definitions import build_warehouse
from persona_assets.errors import InputError, PersonaError
from persona_assets.settings import Settings, load_settings
from persona_assets.warehouse.bigquery import BigQueryWarehouse
from persona_assets.warehouse.google import Endpoints, Google
from persona_assets.warehouse.jobs import Jobs

from .google_cloud import (
    ACCOUNT,
    PROJECT,
    ROLE,
    SOURCE,
    WRITES,
    Cloud,
    CloudBigQuery,
    Refusal,
    connection,
    remote_model,
    running,
)

pytestmark = pytest.mark.bigquery
MODEL = "gemini-2.5-flash"
DENIED = Refusal(403, "The caller does not have permission", "accessDenied")


class Hours:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """A fresh project."""
    with running() as cloud:
        yield cloud


@pytest.fixture
def ready(cloud: Cloud) -> Cloud:
    """A project in which everything is there."""
    cloud.enabled |= {*APIS}
    cloud.datasets[f"{PROJECT}.persona"] = "US"
    cloud.connections["us.persona"] = connection("us", "persona")
    cloud.policy["bindings"].append({"role": ROLE, "members": [f"serviceAccount:{ACCOUNT}"]})
    cloud.models["copywriter"] = remote_model(MODEL, "us", "persona")
    return cloud


def settings(**changed: Any) -> Settings:
    given = {"bigquery_project": PROJECT, "model": MODEL} | changed
    return load_settings(warehouse="bigquery", **given)


def warehouse_on(cloud: Cloud, chosen: Settings, **bounds: float) -> BigQueryWarehouse:
    bounds = {"request_seconds": 5, "patience_seconds": 5} | bounds
    location = chosen.bigquery_location
    resource = CloudBigQuery(project=PROJECT, location=location, address=cloud.address)
    return BigQueryWarehouse(
        Jobs(resource, 10**9, 6.25, **bounds), PROJECT, chosen.bigquery_dataset,
        chosen.bigquery_source, location,
    )  # fmt: skip


def prepare(
    cloud: Cloud, chosen: Settings | None = None, hours: Hours | None = None, **options: Any
) -> Setup:
    chosen, hours = chosen or settings(), hours or Hours()
    bounds = options.pop("bounds", {})
    warehouse = warehouse_on(cloud, chosen, **bounds)
    at = cloud.address
    endpoints = Endpoints(f"{at}/apis", f"{at}/connections", f"{at}/projects")
    google = Google(warehouse.jobs, endpoints, requests.Session())
    clock = Clock(lambda: hours.seconds, hours.sleep)
    return Setup(chosen, warehouse, google, clock=clock, **options)


def is_ready(cloud: Cloud) -> bool:
    return (
        {*APIS} <= cloud.enabled
        and cloud.datasets.get(f"{PROJECT}.persona") == "US"
        and "us.persona" in cloud.connections
        and cloud.grants()
        and cloud.models.get("copywriter") == remote_model(MODEL, "us", "persona")
    )


class TestSetup:
    def test_a_fresh_project_gets_everything_in_order(self, cloud):
        lines = [*prepare(cloud).run()]
        assert is_ready(cloud)
        assert cloud.written == ["services.batchEnable", "datasets.insert", "connections.create",
                                 "projects.setIamPolicy", "jobs.insert"]  # fmt: skip
        assert lines == [
            f"made   the APIs {', '.join(APIS)}, now enabled",
            f"made   the dataset {PROJECT}.persona in US",
            f"there  the source {SOURCE} in US",
            f"made   the connection {PROJECT}.us.persona, which acts as {ACCOUNT}",
            f"made   the role {ROLE} of {ACCOUNT}",
            f"made   the model {PROJECT}.persona.copywriter, which is {MODEL}",
        ]

    def test_where_everything_is_there_nothing_is_written(self, ready):
        lines = [*prepare(ready).run()]
        assert [line[:5] for line in lines] == ["there"] * 6
        assert ready.written == []

    def test_only_what_is_missing_is_made(self, ready):
        ready.enabled.remove("aiplatform.googleapis.com")
        del ready.models["copywriter"]
        [*prepare(ready).run()]
        assert is_ready(ready)
        assert ready.written == ["services.batchEnable", "jobs.insert"]

    def test_everybody_elses_roles_and_conditions_stay(self, cloud):
        before = [*cloud.policy["bindings"]]
        [*prepare(cloud).run()]
        assert cloud.policy["bindings"] == [
            *before, {"role": ROLE, "members": [f"serviceAccount:{ACCOUNT}"]}
        ]  # fmt: skip

    def test_a_role_that_takes_effect_late_is_waited_for_and_no_longer(self, cloud):
        cloud.ineffective = 3
        hours, said = Hours(), []
        [*prepare(cloud, hours=hours, say=said.append).run()]
        assert is_ready(cloud)
        assert hours.slept == [2, 4, 8]
        assert len(said) == 3
        assert "does not have the permission to access or use the endpoint" in said[0]

    def test_a_role_that_never_takes_effect_is_given_up_in_time_and_gone_on_with_later(self, cloud):
        cloud.ineffective = 1_000
        hours = Hours()
        with pytest.raises(PersonaError) as said:
            [*prepare(cloud, hours=hours, patience_seconds=100).run()]
        assert hours.seconds <= 100
        assert "the model my-project.persona.copywriter" in str(said.value)
        assert "Vertex AI user role" in str(said.value)
        assert "run again in a few minutes" in str(said.value)
        assert cloud.models == {}
        cloud.ineffective = 0
        cloud.seen.clear()
        lines = [*prepare(cloud).run()]
        assert is_ready(cloud)
        assert cloud.written == ["jobs.insert"]
        assert [line[:5] for line in lines] == [*["there"] * 5, "made "]

    def test_an_api_that_has_just_been_enabled_is_waited_for(self, cloud):
        cloud.enabling, cloud.settling = 2, 2
        hours = Hours()
        [*prepare(cloud, hours=hours).run()]
        assert is_ready(cloud)
        assert cloud.seen.count("operations.get") == 3
        assert hours.slept == [2, 2, 2, 4]

    def test_apis_that_are_never_enabled_are_given_up_in_time(self, cloud):
        cloud.enabling = 1_000
        hours = Hours()
        with pytest.raises(PersonaError, match="were not enabled within 60 seconds"):
            [*prepare(cloud, hours=hours, patience_seconds=60).run()]
        assert hours.seconds < 70
        assert cloud.written == ["services.batchEnable"]

    def test_an_account_that_is_not_known_yet_is_waited_for(self, cloud):
        cloud.unknown = 2
        [*prepare(cloud).run()]
        assert is_ready(cloud)

    def test_a_policy_that_somebody_else_changes_meanwhile_is_read_again_and_keeps_both(
        self, cloud
    ):
        cloud.meddling = 2
        [*prepare(cloud).run()]
        assert is_ready(cloud)
        roles = [binding["role"] for binding in cloud.policy["bindings"]]
        assert sorted(roles) == sorted(
            ["roles/owner", ROLE, "roles/viewer", "roles/viewer", ROLE]
        )

    def test_a_connection_whose_answer_was_lost_is_not_made_again(self, cloud):
        cloud.enabled |= {*APIS}
        cloud.connections["us.persona"] = connection("us", "persona")
        cloud.once.append(("connections.get", Refusal(404, "Not found: Connection")))
        [*prepare(cloud).run()]
        assert is_ready(cloud)

    @pytest.mark.parametrize("call", ["services.batchGet", "connections.get", "datasets.get"])
    def test_what_passes_is_tried_again(self, cloud, call):
        cloud.once.append((call, Refusal(503, "It is currently unavailable", "backendError")))
        [*prepare(cloud).run()]
        assert is_ready(cloud)

    @pytest.mark.parametrize("changed", [
        remote_model("gemini-1.0-pro", "us", "persona"),
        remote_model(MODEL, "us", "another"),
        remote_model(MODEL, "eu", "persona"),
        remote_model(f"{MODEL}-lite", "us", "persona"),
        {},
    ])  # fmt: skip
    def test_a_model_that_is_another_one_is_replaced(self, ready, changed):
        ready.models["copywriter"] = changed
        assert [*prepare(ready).run()][-1].startswith("made   the model")
        assert is_ready(ready)

    @pytest.mark.parametrize("same", [
        remote_model(f"{MODEL}-002", "us", "persona"),
        remote_model(MODEL, "us", "persona") | {"connection": f"{PROJECT}.us.persona"},
    ])  # fmt: skip
    def test_a_model_that_google_describes_in_other_words_stays(self, ready, same):
        ready.models["copywriter"] = same
        [*prepare(ready).run()]
        assert ready.written == []

    def test_names_of_the_settings_are_used_and_nothing_in_them_is_run(self, cloud):
        hostile = "gemini'); DROP MODEL `x`; --"
        chosen = settings(
            bigquery_location="EU", bigquery_dataset="ours", bigquery_connection="line-1",
            bigquery_model="writer", model=hostile,
        )  # fmt: skip
        cloud.datasets[SOURCE] = "EU"
        [*prepare(cloud, chosen).run()]
        (statement,) = cloud.statements
        assert "`my-project`.`ours`.`writer`" in statement
        assert "CONNECTION `my-project`.`eu`.`line-1`" in statement
        assert cloud.models["writer"]["endpoint"].endswith(hostile)

    def test_a_source_of_our_own_is_made_empty_and_somebody_elses_is_not(self, cloud):
        lines = [*prepare(cloud, settings(bigquery_source=f"{PROJECT}.shop")).run()]
        assert cloud.datasets[f"{PROJECT}.shop"] == "US"
        assert "`persona bigquery load` fills it" in lines[2]
        with pytest.raises(InputError, match="There is no dataset theirs.shop: .*BIGQUERY_SOURCE"):
            [*prepare(cloud, settings(bigquery_source="theirs.shop")).run()]


ROLES = {
    "services.batchGet": ("the APIs", "roles/serviceusage.serviceUsageViewer"),
    "services.batchEnable": ("the APIs", "roles/serviceusage.serviceUsageAdmin"),
    "operations.get": ("the APIs", "roles/serviceusage.serviceUsageAdmin"),
    "datasets.get": ("the dataset my-project.persona", "roles/bigquery"),
    "datasets.insert": ("the dataset my-project.persona", "roles/bigquery.user"),
    "connections.get": ("the connection my-project.us.persona", "roles/bigquery.connectionAdmin"),
    "connections.create": (
        "the connection my-project.us.persona", "roles/bigquery.connectionAdmin"
    ),
    "projects.getIamPolicy": ("who has which role", "roles/resourcemanager.projectIamAdmin"),
    "projects.setIamPolicy": (f"the role {ROLE}", "roles/resourcemanager.projectIamAdmin"),
    "models.get": ("the model my-project.persona.copywriter", "roles/bigquery"),
    "jobs.insert": ("the model my-project.persona.copywriter", "roles/bigquery.jobUser"),
}  # fmt: skip


class TestFailures:
    @pytest.mark.parametrize("call", ROLES)
    def test_what_is_refused_is_named_with_its_role_and_gone_on_with_later(self, cloud, call):
        cloud.refused[call] = DENIED
        with pytest.raises(InputError) as said:
            [*prepare(cloud).run()]
        what, role = ROLES[call]
        assert str(said.value).startswith(what)
        assert role in str(said.value) and PROJECT in str(said.value)
        assert cloud.seen[-1] == call
        del cloud.refused[call]
        [*prepare(cloud).run()]
        assert is_ready(cloud)

    def test_a_project_without_billing_is_told_where_to_link_an_account(self, cloud):
        cloud.refused["services.batchEnable"] = Refusal(
            400, "Billing account for project '1234' is not found. Billing must be enabled for "
            "activation of service(s) 'aiplatform.googleapis.com' to proceed.",
            "UREQ_PROJECT_BILLING_NOT_FOUND",
        )  # fmt: skip
        with pytest.raises(InputError) as said:
            [*prepare(cloud).run()]
        assert "billing/linkedaccount?project=my-project" in str(said.value)
        assert not cloud.enabled

    def test_an_operation_that_fails_is_not_taken_for_done(self, cloud, monkeypatch):
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "UREQ_PROJECT_BILLING_NOT_FOUND"}  # fmt: skip
        failed = {"name": "operations/x", "done": True,
                  "error": {"code": 9, "message": "Billing must be enabled", "details": [info]}}
        monkeypatch.setattr(Cloud, "_operations_get", lambda *_, **__: failed)
        with pytest.raises(InputError, match="billing/linkedaccount"):
            [*prepare(cloud).run()]

    def test_an_api_that_stays_disabled_is_given_up_in_time(self, cloud):
        cloud.settling = 1_000
        hours = Hours()
        with pytest.raises(PersonaError, match="bigqueryconnection.googleapis.com has not been"):
            [*prepare(cloud, hours=hours, patience_seconds=60).run()]
        assert hours.seconds <= 60

    def test_where_the_apis_themselves_cannot_be_asked_about_nothing_is_waited_for(self, cloud):
        cloud.refused["services.batchGet"] = Refusal(
            403, "Service Usage API has not been used in project 1234", "SERVICE_DISABLED"
        )  # fmt: skip
        hours = Hours()
        with pytest.raises(InputError, match="Service Usage API"):
            [*prepare(cloud, hours=hours).run()]
        assert hours.slept == []

    @pytest.mark.parametrize("place, setting", [
        (f"{PROJECT}.persona", "PERSONA_BIGQUERY_DATASET"), (SOURCE, "PERSONA_BIGQUERY_SOURCE")
    ])  # fmt: skip
    def test_a_dataset_in_another_location_is_refused(self, cloud, place, setting):
        cloud.datasets[place] = "europe-west1"
        with pytest.raises(InputError) as said:
            [*prepare(cloud).run()]
        assert f"{place} is in EUROPE-WEST1 and PERSONA_BIGQUERY_LOCATION is US" in str(said.value)
        assert setting in str(said.value)
        assert cloud.connections == {} and cloud.models == {}

    @pytest.mark.parametrize("name", ["other.eu.persona", "us.persona"])
    def test_a_connection_in_another_location_is_refused(self, cloud, name):
        with pytest.raises(InputError, match=f"PERSONA_BIGQUERY_CONNECTION is {name} and"):
            prepare(cloud, settings(bigquery_connection=name))

    def test_a_connection_of_another_kind_is_named(self, ready):
        ready.connections["us.persona"] = {"name": "persona", "cloudSql": {"type": "POSTGRES"}}
        with pytest.raises(PersonaError, match="PERSONA_BIGQUERY_CONNECTION"):
            [*prepare(ready).run()]

    def test_a_service_that_keeps_failing_is_given_up_in_time(self, cloud):
        cloud.refused["connections.get"] = Refusal(503, "The service is currently unavailable")
        bounds = {"request_seconds": 0.5, "patience_seconds": 0.5}
        with pytest.raises(PersonaError, match="Google was not reached or kept failing for 0.5"):
            [*prepare(cloud, bounds=bounds).run()]

    def test_missing_credentials_are_explained(self, cloud, monkeypatch):
        from google.auth.exceptions import DefaultCredentialsError

        def refuse(*_: Any, **__: Any) -> None:
            raise DefaultCredentialsError("Your default credentials were not found.")

        monkeypatch.setattr("google.auth.default", refuse)
        project = prepare(cloud)
        del project.google.session
        with pytest.raises(InputError, match="gcloud auth application-default login"):
            [*project.run()]

    def test_a_model_that_is_not_named_is_asked_for_before_anything_is_made(self, cloud):
        with pytest.raises(InputError, match="PERSONA_MODEL is not set"):
            prepare(cloud, settings().model_copy(update={"model": None}))

    def test_an_emulator_is_not_set_up(self, monkeypatch):
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
        with pytest.raises(InputError, match="an emulator has no APIs"):
            bigquery_setup.from_settings(settings())


class TestDryRun:
    def test_it_prints_the_commands_and_the_sql_and_changes_nothing(self, cloud):
        script = "\n".join(prepare(cloud).plan())
        assert cloud.written == []
        for command in (
            f"gcloud services enable {' '.join(APIS)} --project={PROJECT}",
            f"bq --location=US mk --dataset {PROJECT}:persona",
            f"bq mk --connection --location=US --project_id={PROJECT} "
            "--connection_type=CLOUD_RESOURCE persona",
            f"gcloud projects add-iam-policy-binding {PROJECT} --role={ROLE}",
            "CREATE OR REPLACE MODEL `my-project`.`persona`.`copywriter` REMOTE WITH CONNECTION "
            f"`my-project`.`us`.`persona` OPTIONS (ENDPOINT='{MODEL}')",
        ):
            assert command in script
        assert f"# there: the source {SOURCE} in US" in script

    def test_what_is_there_is_only_mentioned(self, ready):
        lines = [*prepare(ready).plan()]
        assert all(line.startswith("# there: ") for line in lines) and len(lines) == 6
        assert ready.written == []

    @pytest.mark.parametrize("call", sorted({*ROLES} - WRITES - {"operations.get"}))
    def test_what_may_not_be_looked_at_is_printed_with_the_reason(self, ready, call):
        ready.refused[call] = DENIED
        lines = [*prepare(ready).plan()]
        assert any("The caller does not have permission" in line for line in lines)
        assert any(not line.startswith("#") for line in lines)
        assert ready.written == []

    def test_the_script_is_whole_where_google_is_not_reached(self, cloud):
        cloud.refused["services.batchGet"] = Refusal(503, "unavailable")
        bounds = {"request_seconds": 0.5, "patience_seconds": 0.5}
        lines = [*prepare(cloud, bounds=bounds).plan()]
        assert {*cloud.seen} == {"services.batchGet"}
        assert sum(line.startswith("# the APIs: Google was not reached") for line in lines) == 1
        assert "CREATE OR REPLACE MODEL" in lines[-1]


class TestCommand:
    def run(self, cloud: Cloud, monkeypatch, *options: str) -> Any:
        monkeypatch.setattr(
            bigquery_setup, "from_settings",
            lambda chosen, say: prepare(cloud, chosen, say=say),
        )  # fmt: skip
        environment = {"PERSONA_BIGQUERY_PROJECT": PROJECT, "PERSONA_MODEL": MODEL}
        return CliRunner().invoke(cli.main, ["bigquery", "setup", *options], env=environment)

    def test_it_says_what_it_does_as_it_goes(self, cloud, monkeypatch):
        cloud.ineffective = 1
        done = self.run(cloud, monkeypatch)
        assert done.exit_code == 0, done.output
        assert done.stdout.count("made ") == 5
        assert "wait   2 s" in done.stderr
        assert is_ready(cloud)

    def test_what_was_made_before_a_failure_is_said_and_the_rest_is_not_claimed(
        self, cloud, monkeypatch
    ):
        cloud.refused["projects.setIamPolicy"] = DENIED
        done = self.run(cloud, monkeypatch)
        assert done.exit_code == 2
        assert done.stdout.strip().split("\n")[-1].startswith("made   the connection")
        assert "roles/resourcemanager.projectIamAdmin" in done.stderr
        assert "model" not in done.stdout

    def test_a_dry_run_changes_nothing(self, cloud, monkeypatch):
        done = self.run(cloud, monkeypatch, "--dry-run")
        assert done.exit_code == 0 and "gcloud services enable" in done.stdout
        assert cloud.written == []


class TestDoctor:
    def look(self, cloud: Cloud, monkeypatch, chosen: Settings | None = None) -> dict[str, Any]:
        chosen = chosen or settings(writer="bigquery")
        monkeypatch.setattr(doctor, "build_warehouse", lambda s, **b: warehouse_on(cloud, s, **b))
        monkeypatch.setattr(
            bigquery_setup, "from_settings", lambda s, **b: prepare(cloud, s, bounds=b)
        )
        found = doctor.examine(chosen)
        assert {*cloud.written} <= {"jobs.insert"} and cloud.statements == []
        return {finding.what: finding for finding in found}

    def test_it_finds_everything(self, ready, monkeypatch):
        findings = self.look(ready, monkeypatch)
        assert all(finding.ok for finding in findings.values()), findings
        assert {"bigquery", "warehouse", "source", "apis", "connection", "role", "model"} <= {
            *findings
        }
        assert MODEL in findings["model"].said and ACCOUNT in findings["connection"].said

    @pytest.mark.parametrize("missing, name", [
        ("one of the APIs", "apis"),
        ("the connection my-project.us.persona", "connection"),
        (f"the role {ROLE}", "role"),
        (f"the model my-project.persona.copywriter for {MODEL}", "model"),
    ])  # fmt: skip
    def test_each_missing_piece_is_named_with_the_command_that_mends_it(
        self, ready, monkeypatch, missing, name
    ):
        if name == "apis":
            ready.enabled.remove("aiplatform.googleapis.com")
        elif name == "connection":
            ready.connections.clear()
        elif name == "role":
            ready.policy["bindings"].pop()
        else:
            ready.models.clear()
        findings = self.look(ready, monkeypatch)
        lost = {what for what, finding in findings.items() if not finding.ok}
        assert lost == ({name, "role"} if name == "connection" else {name})
        assert findings[name].said.startswith(missing)
        assert "`persona bigquery setup`" in findings[name].said

    def test_a_location_mismatch_is_found(self, ready, monkeypatch):
        ready.datasets[f"{PROJECT}.persona"] = "EU"
        assert "is in EU" in self.look(ready, monkeypatch)["warehouse"].said
        ready.datasets[SOURCE] = "EU"
        assert "same for both" in self.look(ready, monkeypatch)["source"].said

    def test_a_project_that_does_not_let_jobs_run_is_found(self, ready, monkeypatch):
        ready.refused["jobs.insert"] = Refusal(
            403, "Access Denied: Project my-project: User does not have bigquery.jobs.create "
            "permission in project my-project.", "accessDenied",
        )  # fmt: skip
        findings = self.look(ready, monkeypatch)
        assert "roles/bigquery.jobUser on the project my-project" in findings["bigquery"].said
        assert findings["connection"].ok and findings["model"].ok

    def test_what_is_not_reached_is_asked_once(self, ready, monkeypatch):
        ready.address = "http://127.0.0.1:9"
        monkeypatch.setattr(doctor, "_HURRY", {"request_seconds": 0.5, "patience_seconds": 0.5})
        findings = self.look(ready, monkeypatch)
        assert "BigQuery was not reached" in findings["bigquery"].said
        for name in ("warehouse", "source", "apis", "connection", "role", "model"):
            assert not findings[name].ok and findings[name].said == "not looked at"

    def test_what_only_the_writer_inside_bigquery_needs_is_not_asked_of_others(
        self, cloud, monkeypatch
    ):
        cloud.enabled |= {*APIS}
        monkeypatch.setattr(doctor, "build_warehouse", lambda s, **b: warehouse_on(cloud, s, **b))
        findings = {finding.what: finding for finding in doctor.examine(settings())}
        assert "model" not in findings and "role" not in findings
        assert findings["warehouse"].ok and findings["source"].ok


def test_the_services_are_googles_unless_a_test_says_otherwise():
    for url in vars(Endpoints()).values():
        assert url.startswith("https://") and ".googleapis.com/v" in url


def test_nothing_is_reached_before_the_first_step(monkeypatch):
    monkeypatch.setattr("google.auth.default", lambda *_, **__: pytest.fail("signed in"))
    chosen = settings()
    assert build_warehouse(chosen).kind == "bigquery"
    assert [step.name for step in bigquery_setup.from_settings(chosen).steps()] == [
        "apis", "dataset", "source", "connection", "role", "model"
    ]  # fmt: skip
