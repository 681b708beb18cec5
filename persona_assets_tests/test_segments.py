"""Segments from run to run, as the graph makes them: names that stay, and who moved."""

import dagster as dg
import pytest

from persona_assets.definitions import build_defs
from persona_assets.warehouse import DuckDBWarehouse

from .test_graph import rows

SEGMENTATION = ["centroids", "customer_segments", "segment_labels"]


def materialize(settings, names, **config) -> dg.ExecuteInProcessResult:
    job = build_defs(settings).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(name) for name in names],
            run_config={"ops": {name: {"config": values} for name, values in config.items()}},
        )


def metadata(result, name):
    (event,) = [
        event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(name)
    ]
    return {key: value.value for key, value in event.metadata.items()}


SEGMENTS = "SELECT user_id, segment FROM persona.customer_segments ORDER BY user_id"


def test_the_same_data_gives_the_same_names_to_the_same_people(home):
    before = rows(home, SEGMENTS)
    result = materialize(home, SEGMENTATION)
    assert rows(home, SEGMENTS) == before
    assert metadata(result, "customer_segments")["customers_moved"] == 0
    assert metadata(result, "centroids")["new_segments"] == []


def test_names_follow_the_people_and_not_their_place(home):
    before = rows(home, SEGMENTS)
    k = len({segment for _, segment in before}) - 1
    swapped = "CASE segment WHEN 'seg_1' THEN 'seg_2' WHEN 'seg_2' THEN 'seg_1' ELSE segment END"
    with DuckDBWarehouse(home.warehouse_file).connect() as connection:
        for table in ("centroids", "customer_segments"):
            connection.execute(f"UPDATE persona.{table} SET segment = {swapped}")
    materialize(home, ["centroids", "customer_segments"], centroids={"k": k})
    other = {"seg_1": "seg_2", "seg_2": "seg_1"}
    assert rows(home, SEGMENTS) == [(user, other.get(name, name)) for user, name in before]


def test_a_segment_more_is_new_and_the_others_stay(home):
    (k,) = rows(home, "SELECT COUNT(*) FROM persona.centroids")[0]
    result = materialize(home, ["centroids", "customer_segments"], centroids={"k": k + 1})
    found = [name for (name,) in rows(home, "SELECT segment FROM persona.centroids")]
    assert len(found) == len(set(found)) == k + 1
    assert f"seg_{k + 1}" in found
    assert metadata(result, "centroids")["new_segments"]


@pytest.mark.parametrize(("share", "passed"), [(0.0, False), (1.0, True)])
def test_too_many_who_moved_are_a_warning_that_stops_nothing(home, share, passed):
    settings = home.model_copy(update={"moved_share": share})
    (k,) = rows(home, "SELECT COUNT(*) FROM persona.centroids")[0]
    names = [*SEGMENTATION, "final_prompts"]
    result = materialize(settings, names, centroids={"k": k + 2})
    (check,) = [
        check
        for check in result.get_asset_check_evaluations()
        if check.check_name == "few_customers_changed_segment"
    ]
    moved = metadata(result, "customer_segments")["customers_moved"]
    assert moved > 0
    assert check.passed is passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert passed or f"{moved:,} row(s)" in check.description
    assert metadata(result, "final_prompts")["dagster/row_count"] > 0


def test_pictures_reach_the_dagster_ui(home):
    result = materialize(home, ["cluster_metrics", *SEGMENTATION])
    for asset, picture in {
        "cluster_metrics": "k_choice",
        "centroids": "heat_map",
        "customer_segments": "sizes",
    }.items():
        assert metadata(result, asset)[picture].startswith("![](data:image/png;base64,")


def test_the_page_shows_buyers_in_three_dimensions_without_ids_or_names(finished_home):
    page = (finished_home.reports / "segments.html").read_text(encoding="utf-8")
    (buyers,) = rows(
        finished_home, "SELECT COUNT(*) FROM persona.parametric WHERE total_orders > 0"
    )[0]
    assert f"{buyers} buyers, drag to turn" in page
    assert "Plotly.react" in page
    (address,) = rows(finished_home, "SELECT MIN(email) FROM persona.parametric")[0]
    assert address not in page
