"""The whole graph on a small shop, materialized as a user does it."""

import json
import os
from contextlib import closing
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persona_assets import run, trace
from persona_assets.definitions import build_defs
from persona_assets.languages import LANGUAGES
from persona_assets.segmentation.labels import PROSPECTS_SEGMENT
from persona_assets.warehouse import DuckDBWarehouse

from .conftest import CUSTOMERS, SUPPRESSED, moment


def rows(settings, query, *parameters):
    with closing(duckdb.connect(settings.warehouse_file)) as connection:
        return connection.execute(query, parameters).fetchall()


def rerun(settings, **options):
    languages = options.get("languages", [*LANGUAGES])
    return run.run(settings, languages, options.get("customers"))


def changed_source(settings, tmp_path, table, change) -> Path:
    """A copy of the source with one table changed."""
    folder = tmp_path / "changed"
    folder.mkdir()
    for file in settings.source.iterdir():
        content = pq.read_table(file)
        if file.stem == table:
            content = change(content)
        pq.write_table(content, folder / file.name)
    return folder


def test_every_customer_with_an_address_has_one_email_in_one_language(finished_home):
    written = rows(finished_home, "SELECT COUNT(*), COUNT(DISTINCT user_id) FROM persona.emails")
    usable = rows(
        finished_home,
        r"SELECT COUNT(DISTINCT LOWER(TRIM(email))) FROM thelook_ecommerce.users "
        r"WHERE regexp_matches(trim(email), '^[^@\s]+@[^@\s]+$') AND LOWER(TRIM(email)) <> "
        "(SELECT LOWER(TRIM(email)) FROM thelook_ecommerce.users WHERE id = ?)",
        SUPPRESSED,
    )
    assert written == [(usable[0][0], usable[0][0])]
    assert 0.9 * CUSTOMERS < usable[0][0] <= CUSTOMERS


def test_all_nine_languages_are_written_in(finished_home):
    found = rows(finished_home, "SELECT DISTINCT language FROM persona.emails ORDER BY 1")
    assert [language for (language,) in found] == sorted(LANGUAGES)


def test_customers_who_never_ordered_are_prospects_and_nobody_else(finished_home):
    wrong = rows(
        finished_home,
        "SELECT COUNT(*) FROM persona.customer_segments JOIN persona.parametric USING (user_id) "
        "WHERE (segment = ?) <> (total_orders = 0)",
        PROSPECTS_SEGMENT,
    )
    assert wrong == [(0,)]


def test_no_email_says_the_segment(finished_home):
    leaks = rows(
        finished_home,
        "SELECT COUNT(*) FROM persona.emails e JOIN persona.segment_labels l USING (segment) "
        "WHERE contains(lower(e.marketing_email), lower(l.segment_label))",
    )
    assert leaks == [(0,)]


def test_an_unchanged_customer_is_never_written_to_twice(home):
    before = rows(home, "SELECT COUNT(*) FROM persona.drafts")
    summary = rerun(home, languages=["fr", "ja"])
    assert summary.drafts_written == 0
    assert rows(home, "SELECT COUNT(*) FROM persona.drafts") == before


def test_a_change_of_one_customer_writes_exactly_one_email_again(home, tmp_path):
    customer, language = rows(
        home,
        "SELECT user_id, language FROM persona.emails "
        "JOIN persona.parametric p USING (user_id, language) WHERE p.last_event <> 'cart' "
        "ORDER BY user_id LIMIT 1",
    )[0]
    other = "fr" if language != "fr" else "de"
    before = dict(rows(home, "SELECT user_id, prompt_hash FROM persona.emails"))

    def one_more_event(events):
        newest = events.sort_by([("created_at", "descending")]).slice(0, 1).to_pylist()[0]
        newest |= {"id": max(events["id"].to_pylist()) + 1, "user_id": customer}
        newest |= {"event_type": "cart"}
        return pa.concat_tables([events, pa.Table.from_pylist([newest], schema=events.schema)])

    source = changed_source(home, tmp_path, "events", one_more_event)
    summary = rerun(home.model_copy(update={"source": source}), languages=[language, other])
    after = dict(rows(home, "SELECT user_id, prompt_hash FROM persona.emails"))
    assert summary.drafts_written == 1
    assert {user for user in after if after[user] != before[user]} == {customer}


def test_a_customer_who_moves_gets_the_email_of_the_new_language_only(home, tmp_path):
    customer = rows(
        home, "SELECT MIN(user_id) FROM persona.emails WHERE language = 'zh' AND country = 'China'"
    )[0][0]

    def to_germany(users):
        moved = [
            "Germany" if user == customer else country
            for user, country in zip(
                users["id"].to_pylist(), users["country"].to_pylist(), strict=True
            )
        ]
        place = users.schema.get_field_index("country")
        return users.set_column(place, "country", pa.array(moved))

    source = changed_source(home, tmp_path, "users", to_germany)
    # German comes before Chinese: the Chinese partition is not made anew, and yet lets go.
    rerun(home.model_copy(update={"source": source}), languages=["de"])
    found = rows(home, "SELECT language FROM persona.emails WHERE user_id = ?", customer)
    assert found == [("de",)]


def test_a_larger_audience_contains_the_smaller_one(home):
    few = rerun(home, languages=["en", "fr"], customers=10)
    written = "SELECT user_id FROM persona.emails WHERE language IN ('en', 'fr')"
    ten = {user for (user,) in rows(home, written)}
    rerun(home, languages=["en", "fr"], customers=25)
    more = {user for (user,) in rows(home, written)}
    assert few.emails_total == len(ten) == 10
    assert len(more) == 25
    assert ten < more


def test_a_language_that_nobody_speaks_is_an_empty_partition(home, make_source):
    summary = rerun(home.model_copy(update={"source": make_source()}), languages=["ar", "es"])
    assert summary.emails == {"ar": 0, "es": 1}


def test_a_shop_without_buyers_still_writes_to_its_prospects(home, make_source):
    source = make_source(orders=[{"order_id": 1, "user_id": 1, "status": "Cancelled",
                                  "created_at": moment("2024-06-01T12:00")}])  # fmt: skip
    summary = rerun(home.model_copy(update={"source": source}), languages=["es"])
    assert summary.emails == {"es": 1}
    assert [segment["segment"] for segment in summary.segments] == [PROSPECTS_SEGMENT]


def test_every_run_is_kept_where_the_dagster_ui_finds_it(finished_home, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(finished_home.dagster_home))
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs()
        partitions = instance.get_materialized_partitions(dg.AssetKey("emails"))
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    assert partitions == set(LANGUAGES)


def test_column_lineage_and_row_counts_reach_the_dagster_ui(finished_home, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(finished_home.dagster_home))
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("parametric"))
    metadata = event.asset_materialization.metadata
    lineage = metadata["dagster/column_lineage"].value.deps_by_column
    assert dg.TableColumnDep(dg.AssetKey("users"), "country") in lineage["country"]
    assert dg.TableColumnDep(dg.AssetKey("orders"), "created_at") in lineage[
        "months_since_last_order"
    ]
    assert metadata["dagster/row_count"].value == CUSTOMERS
    assert metadata["dagster/storage_kind"].value == "duckdb"
    assert metadata["dagster/table_name"].value == "warehouse.persona.parametric"
    assert metadata["query_seconds"].value >= 0
    assert "preview" in metadata


def test_labels_given_by_hand_replace_the_rules(home, tmp_path):
    segments = [s for (s,) in rows(home, "SELECT segment FROM persona.segment_labels")]
    file = tmp_path / "labels.csv"
    lines = [f"{s},Label of {s},What {s} is" for s in segments]
    file.write_text("\n".join(["segment,label,designation", *lines]), encoding="utf-8")
    definitions = build_defs(home.model_copy(update={"labels": "hand_on", "labels_file": file}))
    job = definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(
            asset_selection=[dg.AssetKey("segment_labels")], instance=instance
        )
    assert done.success
    found = rows(home, "SELECT segment, segment_label, method FROM persona.segment_labels")
    assert sorted(found) == sorted((s, f"Label of {s}", "hand_on") for s in segments)


@pytest.fixture(scope="module")
def traced(finished_home):
    warehouse = DuckDBWarehouse(finished_home.warehouse_file)
    (customer,) = rows(
        finished_home,
        "SELECT MIN(user_id) FROM persona.parametric WHERE total_orders >= 2 "
        "AND email IS NOT NULL AND list_count(top_products_user) > 0",
    )[0]
    return trace.trace(warehouse, [customer], finished_home)[0]


def test_a_trace_reaches_from_the_email_to_its_orders(traced, finished_home):
    customer = traced["customer"]["user_id"]
    assert traced["email"]["subject"]
    assert [(draft["status"], draft["used"]) for draft in traced["drafts"]] == [("accepted", True)]
    assert f"orders in total: {traced['numbers'][0]['customer']}" in traced["prompt"]["prompt"]
    assert traced["segment"]["segment"].startswith("seg_")
    assert [n["centroid"] for n in traced["numbers"]] == list(
        rows(
            finished_home,
            "SELECT total_orders, avg_basket, total_revenue, months_since_last_order, "
            "freq_orders_per_month FROM persona.centroids WHERE segment = ?",
            traced["segment"]["segment"],
        )[0]
    )
    newest = rows(
        finished_home,
        "SELECT order_id FROM thelook_ecommerce.orders WHERE user_id = ? "
        "ORDER BY created_at DESC, order_id DESC LIMIT 5",
        customer,
    )
    assert [(order["order_id"],) for order in traced["orders"]] == newest


def test_a_trace_masks_the_address(traced, finished_home):
    (address,) = rows(
        finished_home,
        "SELECT email FROM persona.parametric WHERE user_id = ?",
        traced["customer"]["user_id"],
    )[0]
    assert address not in json.dumps(traced, default=str)
    assert address not in trace.as_text(traced)
    assert traced["customer"]["email"] == f"{address[0]}…@{address.split('@')[1]}"


def test_a_trace_says_why_there_is_no_email(finished_home):
    (without,) = rows(
        finished_home,
        "SELECT MIN(user_id) FROM persona.parametric WHERE email IS NULL",
    )[0]
    found = trace.trace(DuckDBWarehouse(finished_home.warehouse_file), [without], finished_home)[0]
    assert found["email"] is None
    assert "no usable address" in trace.as_text(found)


def test_a_trace_says_that_a_customer_is_suppressed_or_has_anothers_address(finished_home):
    warehouse = DuckDBWarehouse(finished_home.warehouse_file)
    (suppressed,) = trace.trace(warehouse, [SUPPRESSED], finished_home)
    assert suppressed["why_no_email"] == "The customer is on the suppression list: unsubscribed."
    loser, winner = rows(
        finished_home,
        "SELECT a.user_id, b.user_id FROM persona.parametric a JOIN persona.final_prompts b "
        "ON lower(a.email) = lower(b.email) AND a.user_id <> b.user_id ORDER BY 1 LIMIT 1",
    )[0]
    (shared,) = trace.trace(warehouse, [loser], finished_home)
    assert f"Customer {winner} has the same address" in shared["why_no_email"]


def test_a_page_shows_every_language_and_segment_with_a_trace(finished_home):
    page = (finished_home.reports / "emails.html").read_text(encoding="utf-8")
    start = page.index('<script type="application/json" id="data">')
    data = json.loads(page[page.index(">", start) + 1 : page.index("</script>", start)])
    shown = {(one["customer"]["language"], one["segment"]["segment"]) for one in data}
    wanted = rows(finished_home, "SELECT DISTINCT language, segment FROM persona.emails")
    assert shown == set(wanted)
    assert all(one["prompt"] and one["drafts"] and one["numbers"] for one in data)


@pytest.mark.parametrize("name", ["emails", "segments"])
def test_a_page_needs_nothing_from_elsewhere(finished_home, name):
    page = (finished_home.reports / f"{name}.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    for outside in ('src="http', "<link", "@import", "url(http"):
        assert outside not in page


def test_the_segments_page_marks_the_chosen_k(finished_home):
    page = (finished_home.reports / "segments.html").read_text(encoding="utf-8")
    (k,) = rows(finished_home, "SELECT k FROM persona.cluster_metrics WHERE chosen")[0]
    assert f'<tr class="chosen"><td>{k}</td>' in page
    for (label,) in rows(finished_home, "SELECT segment_label FROM persona.segment_labels"):
        assert label in page


def test_what_a_killed_run_left_behind_is_swept_away_after_a_day(home):
    left, fresh = home.home / ".write-left", home.home / ".write-fresh"
    for folder in (left, fresh):
        folder.mkdir()
        (folder / "rows.parquet").touch()
    os.utime(left, (0, 0))
    rerun(home, languages=["ko"])
    assert not left.exists()
    assert fresh.exists()
