"""The BigQuery warehouse beyond the contract: what it sends, what it costs, what it says when the
service or the network fails."""

import json
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud import bigquery

from persona_assets import schemas
from persona_assets.errors import InputError, PersonaError
from persona_assets.warehouse import read_query
from persona_assets_tests.emulator import PROJECT, make_warehouse

from .tables import SCHEMA, batch, partitions, query, row, rows_of
from .wire import Fault, Relay, relay

pytestmark = pytest.mark.bigquery
QUICK = {"request_seconds": 0.5, "patience_seconds": 1.5}
SCHEMAS = {model.__name__: schemas.arrow_schema(model) for model in schemas.SOURCES}


@pytest.fixture
def wire(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A relay in front of the emulator, which BIGQUERY_EMULATOR_HOST names."""
    with relay(emulator) as running:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", running.address)
        yield running


@pytest.fixture
def filled(wire: Relay) -> Any:
    """A warehouse behind the relay with the table t, which soon loses its patience."""
    patient = make_warehouse()
    patient.replace("t", SCHEMA, [batch(row(1), row(2), row(3, "de"))])
    wire.seen.clear()
    warehouse = make_warehouse(patient.place.split(".")[1], **QUICK)
    warehouse.uploads = 1
    return warehouse


def jobs_of(wire: Relay) -> list[dict]:
    """The configurations of the jobs that went over the wire."""
    return [
        json.loads(body)["configuration"]
        for method, path, body in wire.seen
        if method == "POST" and "/jobs" in path and body.startswith(b"{")
    ]


ONE = query("SELECT id FROM persona.t ORDER BY id")


class TestWhatIsSent:
    def test_the_datasets_are_those_of_the_settings_wherever_they_stand(self):
        warehouse = make_warehouse("ours", "some-project.a_shop")
        text = (
            "WITH u AS (SELECT id FROM thelook_ecommerce.users) SELECT u.id, "
            "(SELECT MAX(o.order_id) FROM thelook_ecommerce.orders AS o WHERE o.user_id = u.id) "
            "FROM u JOIN persona.parametric AS p ON p.user_id = u.id "
            "WHERE p.first_name = 'persona.x' AND p.user_id IN (SELECT user_id FROM persona.emails)"
        )
        sent = warehouse.text(query(text))
        assert sent.count("`some-project`.`a_shop`.") == 2
        assert sent.count(f"`{PROJECT}`.`ours`.") == 2
        assert "'persona.x'" in sent and "thelook" not in sent

    def test_a_table_is_made_with_what_its_model_says(self):
        warehouse = make_warehouse("ours", layouts=True)
        sent = warehouse.statement("final_prompts", read_query("final_prompts"))
        assert sent.startswith(f"CREATE OR REPLACE TABLE `{PROJECT}`.`ours`.`final_prompts` (")
        assert "CLUSTER BY `language`, `prompt_hash`" in sent
        assert schemas.describe(schemas.final_prompts).split("\n")[0] in sent
        for name, spec in schemas.columns(schemas.final_prompts).items():
            said = spec.description.replace("'", "\\'")
            assert f"`{name}` " in sent and f"OPTIONS (description='{said}')" in sent

    def test_a_query_that_gives_other_columns_than_the_table_has_is_not_sent(self, filled, wire):
        filled.layouts = schemas.layouts()
        with pytest.raises(ValueError, match="customer_segments"):
            filled.create("customer_segments", ONE, {})
        assert jobs_of(wire) == []

    def test_every_job_says_what_it_is_for_and_may_not_bill_more_than_allowed(self, wire):
        warehouse = make_warehouse(
            labels=lambda: {"asset": "emails", "run_id": "Run 7"}, maximum_bytes=12345
        )
        warehouse.replace("t", SCHEMA, [batch(row(1))])
        warehouse.create("u", ONE, {})
        with warehouse.ibis_table("t") as table:
            table.count().execute()
        jobs = jobs_of(wire)
        assert len(jobs) >= 6
        for job in jobs:
            assert "labels" in job, job
            labels = job["labels"]
            assert (labels["asset"], labels["run_id"]) == ("emails", "run-7")
            assert labels["what"]
            if "query" in job and not job.get("dryRun"):
                assert job["query"]["maximumBytesBilled"] == "12345"

    def test_every_query_is_priced_before_it_runs(self, filled, wire):
        filled.read(ONE, {})
        dry, real = jobs_of(wire)
        assert dry["dryRun"] and not real.get("dryRun")
        assert dry["query"]["query"] == real["query"]["query"]

    def test_a_query_beyond_the_limit_is_refused_before_it_runs(self, filled, wire, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(bigquery.QueryJob, "total_bytes_processed", 3 * 2**40)
            with pytest.raises(InputError) as refused:
                filled.create("t", ONE, {})
        said = str(refused.value)
        assert said.startswith("sql/some/query.sql would read 3,298.5 GB (about $18.75)")
        assert "PERSONA_BIGQUERY_MAXIMUM_BYTES" in said
        assert [job.get("dryRun") for job in jobs_of(wire)] == [True]
        assert len(rows_of(filled)) == 3

    def test_a_receipt_names_the_job_and_what_it_cost(self, filled, monkeypatch):
        monkeypatch.setattr(bigquery.QueryJob, "total_bytes_billed", 2**39)
        monkeypatch.setattr(bigquery.QueryJob, "slot_millis", 1234)
        job = filled.create("u", ONE, {}).job
        assert (job.bytes_billed, job.slot_ms, job.cost_usd) == (2**39, 1234, 3.125)
        assert job.id in job.link and f"project={PROJECT}" in job.link

    def test_staging_tables_expire_should_the_process_die(self, filled, wire):
        filled.append("t", SCHEMA, [batch(row(4))])
        made = [
            json.loads(body) for method, path, body in wire.seen
            if method == "POST" and path.split("?")[0].endswith("/tables")
        ]  # fmt: skip
        staging = [one for one in made if one["tableReference"]["tableId"].startswith("_staging_t")]
        assert len(staging) == 1
        assert 0 < int(staging[0]["expirationTime"]) / 1000 - time.time() <= 86_400

    def test_rows_beyond_the_size_of_a_file_go_in_several(self, filled, monkeypatch):
        monkeypatch.setattr("persona_assets.warehouse.bigquery.FILE_BYTES", 200)
        batches = [batch(row(10 * n), row(10 * n + 1)) for n in range(1, 8)]
        assert filled.replace("t", SCHEMA, batches, where={"language": "en"}).rows == 14
        assert len(rows_of(filled)) == 15


class TestReading:
    def test_the_storage_api_is_asked_first_and_left_alone_once_it_refuses(self):
        warehouse = make_warehouse()
        warehouse._storage = "storage"
        asked = []

        def through(storage: Any) -> str:
            asked.append(storage)
            if storage is not None and len(asked) > 1:
                raise exceptions.PermissionDenied("no bigquery.readsessions.create")
            return "rows"

        assert [warehouse._storage_or_rest(through) for _ in range(3)] == ["rows"] * 3
        assert asked == ["storage", "storage", None, None]

    def test_the_emulator_is_read_by_rest(self, emulated):
        assert make_warehouse()._storage is None


class TestSource:
    @pytest.fixture
    def shop(self, emulated) -> Any:
        """A warehouse whose source has the five tables, without rows."""
        warehouse = make_warehouse()
        for name, schema in SCHEMAS.items():
            warehouse.load_source(name, schema, [])
        return warehouse

    def change(self, shop: Any, table: str, fields: list[bigquery.SchemaField]) -> None:
        reference = shop.address(table, "thelook_ecommerce")
        shop.jobs.client.delete_table(reference)
        if fields:
            shop.jobs.client.create_table(bigquery.Table(reference, schema=fields))

    def test_a_source_with_everything_is_accepted(self, shop):
        shop.inspect_source(SCHEMAS)

    def test_columns_that_are_not_ours_are_ignored(self, shop):
        fields = [("id", "INT64"), ("cost", "NUMERIC"), ("name", "STRING"), ("brand", "STRING")]
        self.change(shop, "products", [bigquery.SchemaField(*field) for field in fields])
        shop.inspect_source(SCHEMAS)

    def test_what_is_missing_or_of_another_type_is_named_all_at_once(self, shop):
        self.change(shop, "events", [])
        self.change(shop, "products", [bigquery.SchemaField("name", "INT64")])
        self.change(shop, "orders", [
            bigquery.SchemaField("order_id", "INT64"), bigquery.SchemaField("user_id", "INT64"),
            bigquery.SchemaField("status", "STRING", "REPEATED"),
            bigquery.SchemaField("created_at", "DATETIME"),
        ])  # fmt: skip
        with pytest.raises(InputError) as refused:
            shop.inspect_source(SCHEMAS)
        lines = sorted(line.split(": ", 1)[1] for line in str(refused.value).split("\n"))
        assert lines == [
            "table orders, column created_at is DATETIME; it must be TIMESTAMP: make a view that "
            "casts it.",
            "table orders, column status is ARRAY<STRING>; it must be STRING: make a view that "
            "casts it.",
            "table products has no column id.",
            "table products, column name is INT64; it must be STRING: make a view that casts it.",
            "the table events is missing.",
        ]

    def test_a_source_that_is_not_there_is_named_with_the_setting(self, emulated):
        with pytest.raises(InputError, match="PERSONA_BIGQUERY_SOURCE"):
            make_warehouse().inspect_source(SCHEMAS)

    def test_a_source_in_another_location_is_refused(self, emulated):
        warehouse = make_warehouse()
        project, name = warehouse._datasets["thelook_ecommerce"]
        made = bigquery.Dataset(f"{project}.{name}")
        made.location = "EU"
        warehouse.jobs.client.create_dataset(made)
        with pytest.raises(InputError, match="in EU and PERSONA_BIGQUERY_LOCATION is US"):
            warehouse.inspect_source({})

    def test_our_dataset_in_another_location_is_refused_before_anything_is_written(self, emulated):
        warehouse = make_warehouse()
        made = bigquery.Dataset(warehouse.place)
        made.location = "EU"
        warehouse.jobs.client.create_dataset(made)
        with pytest.raises(InputError, match="is in EU and PERSONA_BIGQUERY_LOCATION is US"):
            warehouse.replace("t", SCHEMA, [batch(row(1))])
        assert not warehouse.exists("t")

    def test_tables_are_observed_without_a_query(self, wire):
        warehouse = make_warehouse()
        schema = SCHEMAS["products"]
        two = [{"id": 1, "name": "Shirt"}, {"id": 2, "name": None}]
        for rows in (two, two[:1]):
            warehouse.load_source("products", schema,
                                  [pa.RecordBatch.from_pylist(rows, schema=schema)])  # fmt: skip
            wire.seen.clear()
            seen = warehouse.observe(["products"])["products"]
            assert (seen.rows, seen.address) == (
                len(rows), warehouse.address("products", "thelook_ecommerce"),
            )  # fmt: skip
            assert abs(seen.modified.timestamp() - time.time()) < 600
            assert {method for method, _, _ in wire.seen} == {"GET"}

    def test_a_table_that_is_to_be_observed_and_is_not_there_is_named(self, shop):
        self.change(shop, "events", [])
        with pytest.raises(InputError, match=r"no table .*\.events"):
            shop.observe(["users", "events"])


def _read(warehouse: Any) -> Any:
    return warehouse.read(ONE, {})["id"].to_pylist()


def _replace(warehouse: Any) -> Any:
    return warehouse.replace("t", SCHEMA, [batch(row(7, "fr"))], {"language": "fr"}, "id").rows


def _append(warehouse: Any) -> Any:
    return warehouse.append("t", SCHEMA, [batch(row(7, "fr"))]).rows


def _create(warehouse: Any) -> Any:
    return warehouse.create("t2", ONE, {}).rows


PASSING = {
    "500": Fault(500, "internalError"),
    "503": Fault(503, "backendError"),
    "reset": Fault(reset=True),
    "rate limit": Fault(403, "rateLimitExceeded"),
    "slow": Fault(seconds=1),
}


def _starts_a_job(method: str, path: str, body: bytes) -> bool:
    return method == "POST" and "/jobs" in path and b'"dryRun": true' not in body


class TestOnTheWire:
    @pytest.mark.parametrize("fault", PASSING)
    @pytest.mark.parametrize("act", [_read, _replace, _append, _create])
    def test_what_passes_is_tried_again_and_done_once(self, filled, wire, act: Callable, fault):
        wire.hit = _starts_a_job
        expected = {_read: [1, 2, 3], _create: 3}.get(act, 1)
        wire.faults[:] = [PASSING[fault]]
        assert act(filled) == expected
        assert wire.faults == []
        added = [(7, "fr")] if act in (_replace, _append) else []
        assert partitions(filled) == [(1, "en"), (2, "en"), (3, "de"), *added]

    @pytest.mark.parametrize("fault", [Fault(503, "backendError"), Fault(reset=True)])
    @pytest.mark.parametrize("act", [_read, _replace, _append, _create])
    def test_what_does_not_pass_is_given_up_in_time_and_explained(
        self, filled, wire, act: Callable, fault
    ):
        wire.hit = _starts_a_job
        wire.faults[:] = [fault] * 1_000
        start = time.monotonic()
        with pytest.raises(PersonaError, match="kept failing for 1.5 seconds") as said:
            act(filled)
        assert time.monotonic() - start < 20
        assert "\n" not in str(said.value)
        wire.faults.clear()
        assert partitions(filled) == [(1, "en"), (2, "en"), (3, "de")]

    @pytest.mark.parametrize("again", [True, False])
    def test_a_job_that_is_paid_for_each_time_is_started_once_only(self, again):
        starts = []

        def start() -> Any:
            starts.append("a job that may have asked a model before it failed")
            raise exceptions.InternalServerError("it broke", errors=[{"reason": "backendError"}])

        with pytest.raises(PersonaError, match="it broke"):
            make_warehouse(**QUICK).jobs.finish(start, "the job", again=again)
        assert (len(starts) > 1) == again

    def test_a_service_that_never_answers_is_given_up_in_time(self, filled, wire):
        wire.faults[:] = [Fault(seconds=5)] * 100
        start = time.monotonic()
        with pytest.raises(PersonaError, match="sql/some/query.sql: BigQuery was not reached"):
            filled.read(ONE, {})
        assert time.monotonic() - start < 15

    def test_nothing_at_the_address_is_explained(self, monkeypatch):
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
        with pytest.raises(PersonaError, match="BigQuery was not reached"):
            make_warehouse(**QUICK).exists("t")

    @pytest.mark.parametrize("act", [_read, _replace, _append, _create])
    def test_a_quota_that_is_used_up_is_explained_and_not_tried_again(self, filled, wire, act):
        wire.hit = _starts_a_job
        full = "Quota exceeded: Your project exceeded quota for free query bytes scanned."
        wire.faults[:] = [Fault(403, "quotaExceeded", full)] * 2
        with pytest.raises(PersonaError) as said:
            act(filled)
        assert "a quota of BigQuery is used up" in str(said.value)
        assert "free query bytes" in str(said.value) and "iam-admin/quotas" in str(said.value)
        assert len(wire.faults) == 1
        wire.faults.clear()
        assert len(rows_of(filled)) == 3

    @pytest.mark.parametrize("act", [_read, _replace, _append, _create])
    def test_a_missing_role_is_named(self, filled, wire, act):
        wire.hit = _starts_a_job
        denied = "Access Denied: Project p: User does not have bigquery.jobs.create permission"
        wire.faults[:] = [Fault(403, "accessDenied", denied)] * 2
        with pytest.raises(InputError) as said:
            act(filled)
        assert "bigquery.jobs.create" in str(said.value)
        assert "roles/bigquery.jobUser" in str(said.value)
        assert len(wire.faults) == 1

    def test_two_writers_that_collide_are_told_apart_and_the_second_tries_again(self, filled, wire):
        clash = "Could not serialize access to table p:d.t due to concurrent update"
        wire.hit = _starts_a_job
        wire.faults[:] = [Fault(400, "invalidQuery", clash)]
        assert filled.create("t2", ONE, {}).rows == 3
        assert wire.faults == []

    def test_an_address_in_an_error_is_masked(self, filled, wire):
        wire.hit = _starts_a_job
        wire.faults[:] = [Fault(400, "invalidQuery", "Bad int64 value: maria@example.org")]
        with pytest.raises(PersonaError) as said:
            filled.read(ONE, {})
        assert "m…@example.org" in str(said.value)

    def test_missing_credentials_are_explained(self, monkeypatch):
        from google.auth.exceptions import DefaultCredentialsError

        warehouse = make_warehouse()

        def refuse(*_: Any, **__: Any) -> None:
            raise DefaultCredentialsError("Your default credentials were not found.")

        monkeypatch.setattr(bigquery, "Client", refuse)
        with pytest.raises(InputError, match="gcloud auth application-default login"):
            warehouse.exists("t")
