"""The conditions: what depends on something that says something new, and nothing else, is made."""

from collections import Counter

import dagster as dg
import pytest

from persona_assets.definitions import build_defs
from persona_assets.languages import LANGUAGES
from persona_assets.settings import Settings

from .work import LOADED, change, materialize, one_more_event, one_more_product, rows


class Following:
    """The conditions, evaluated tick by tick; what they ask for is run, part by part."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings, self.instance = settings, instance
        self.cursor = None
        self.ran: list[tuple[str, str | None]] = []

    def tick(self) -> dict[str, set[str | None]]:
        """What is asked for now: partitions by asset."""
        definitions = build_defs(self.settings)
        found = dg.evaluate_automation_conditions(definitions, self.instance, cursor=self.cursor)
        self.cursor = found.cursor
        keys = definitions.resolve_all_asset_keys()
        asked = {key.to_user_string(): set(found.get_requested_partitions(key)) for key in keys}
        return {name: partitions for name, partitions in asked.items() if partitions}

    def run(self, asked: dict[str, set[str | None]]) -> None:
        by_partition: dict[str | None, list[str]] = {}
        for name, partitions in asked.items():
            for partition in partitions:
                by_partition.setdefault(partition, []).append(name)
        for partition, names in by_partition.items():
            materialize(self.settings, self.instance, names, partition)
            self.ran += [(name, partition) for name in names]

    def until_nothing_is_left(self) -> list[tuple[str, str | None]]:
        """Tick and run until nothing is asked for; what ran in all."""
        self.ran = []
        for _ in range(10):
            if not (asked := self.tick()):
                return self.ran
            self.run(asked)
        raise AssertionError(f"There is no end: {self.ran}")


@pytest.fixture
def following(shop_home: Settings, instance: dg.DagsterInstance) -> Following:
    """Switched on in a home where everything is made."""
    started = Following(shop_home, instance)
    assert started.tick() == {}
    return started


def drafts(settings: Settings) -> int:
    return rows(settings, "SELECT COUNT(*) FROM persona.drafts")[0][0]


def test_a_change_of_one_french_customer_writes_one_draft_in_emails_fr_alone(following, shop_home):
    before = drafts(shop_home)
    customer = one_more_event(shop_home, "fr")
    materialize(shop_home, following.instance, LOADED)
    ran = following.until_nothing_is_left()
    assert [run for run in ran if run[0] == "emails"] == [("emails", "fr")]
    assert drafts(shop_home) == before + 1
    assert rows(
        shop_home,
        "SELECT user_id FROM persona.emails ANTI JOIN "
        "(SELECT prompt_hash FROM persona.drafts WHERE run_id NOT IN "
        "(SELECT run_id FROM persona.emails WHERE user_id = ?)) USING (prompt_hash)",
        customer,
    ) == [(customer,)]
    # The model is not fitted again for it, and nothing is made twice.
    assert not {"centroids", "cluster_metrics", "segment_labels"} & {name for name, _ in ran}
    assert max(Counter(ran).values()) == 1


def test_a_source_that_is_loaded_again_and_says_the_same_causes_nothing(following, shop_home):
    materialize(shop_home, following.instance, LOADED)
    assert following.until_nothing_is_left() == []


def test_a_change_that_no_prompt_says_ends_before_the_emails(following, shop_home):
    change(shop_home, "products", one_more_product)
    materialize(shop_home, following.instance, LOADED)
    assert {name for name, _ in following.until_nothing_is_left()} == {
        "parametric", "customer_segments", "segments_report", "final_prompts",
    }  # fmt: skip


def test_a_customer_who_is_suppressed_loses_the_email_and_nobody_else_is_written_to(
    following, shop_home, tmp_path
):
    (customer,) = rows(
        shop_home, "SELECT MIN(user_id) FROM persona.emails WHERE language = 'ja'"
    )[0]
    listed = tmp_path / "list.csv"
    listed.write_text(f"user_id,reason\n7,unsubscribed\n{customer},bounced\n", encoding="utf-8")
    following.settings = shop_home.model_copy(update={"suppression_list": listed})
    before = drafts(shop_home)
    materialize(following.settings, following.instance, LOADED)
    ran = following.until_nothing_is_left()
    assert [run for run in ran if run[0] == "emails"] == [("emails", "ja")]
    assert rows(shop_home, "SELECT user_id FROM persona.emails WHERE user_id = ?", customer) == []
    assert drafts(shop_home) == before


def test_a_change_while_the_emails_are_being_written_is_not_lost(following, shop_home):
    one_more_event(shop_home, "fr")
    materialize(shop_home, following.instance, LOADED)
    while "emails" not in (asked := following.tick()):
        following.run(asked)
    # The run that was asked for is under way: it has read its prompts when they change again.
    job = build_defs(shop_home).resolve_implicit_global_asset_job_def()
    under_way = following.instance.create_run_for_job(
        job.get_subset(asset_selection={dg.AssetKey("emails")}),
        tags={"dagster/partition": "fr"},
        asset_selection={dg.AssetKey("emails")},
        status=dg.DagsterRunStatus.STARTED,
    )
    one_more_event(shop_home, "fr")
    materialize(shop_home, following.instance, LOADED)
    for _ in range(4):
        asked = following.tick()
        assert "emails" not in asked
        following.run(asked)
    materialize(shop_home, following.instance, ["emails"], "fr")  # what it wrote
    following.instance.report_run_canceled(under_way)
    assert ("emails", "fr") in following.until_nothing_is_left()


def test_a_fresh_home_is_filled_by_the_load_alone(shop_home, tmp_path, monkeypatch):
    settings = shop_home.model_copy(update={"home": tmp_path / "fresh"})
    settings.home.mkdir()
    with dg.DagsterInstance.ephemeral() as instance:
        following = Following(settings, instance)
        assert following.tick() == {}
        materialize(settings, instance, LOADED)
        ran = following.until_nothing_is_left()
    assert {language for name, language in ran if name == "emails"} == {*LANGUAGES}
    assert max(Counter(ran).values()) == 1
    assert len(rows(settings, "SELECT DISTINCT language FROM persona.emails")) == len(LANGUAGES)


def test_what_a_blocking_check_refuses_goes_no_further(following, shop_home):
    one_more_event(shop_home, "fr")
    materialize(shop_home, following.instance, LOADED)

    def report(passed: bool) -> None:
        following.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey("events"), check_name="schema", passed=passed, blocking=True
            )
        )

    report(False)
    assert following.tick() == following.tick() == {}
    report(True)
    assert "parametric" in following.tick()


def test_tables_that_are_observed_are_followed_too():
    """On BigQuery the source stays where it is. No warehouse is needed to ask for a run."""
    settings = Settings(warehouse="bigquery", bigquery_project="some-project")
    definitions = build_defs(settings)
    graph = definitions.resolve_asset_graph()

    def tick(cursor=None):
        found = dg.evaluate_automation_conditions(definitions, instance, cursor=cursor)
        keys = graph.get_all_asset_keys()
        return found.cursor, {k.to_user_string() for k in keys if found.get_num_requested(k)}

    def report(event, key: dg.AssetKey, version: str, **partition) -> None:
        tags = {"dagster/data_version": version}
        instance.report_runless_asset_event(event(asset_key=key, tags=tags, **partition))

    with dg.DagsterInstance.ephemeral() as instance:
        for key in graph.get_all_asset_keys():
            node = graph.get(key)
            languages = node.partitions_def.get_partition_keys() if node.partitions_def else [None]
            for language in languages:
                event = dg.AssetMaterialization if node.is_materializable else dg.AssetObservation
                report(event, key, "first", partition=language)
        for check in graph.asset_check_keys:
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=check.asset_key, check_name=check.name, passed=True, blocking=True
                )
            )
        cursor, asked = tick()
        assert asked == set()
        report(dg.AssetObservation, dg.AssetKey("orders"), "first")
        cursor, asked = tick(cursor)
        assert asked == set()
        report(dg.AssetObservation, dg.AssetKey("orders"), "second")
        cursor, asked = tick(cursor)
    assert asked == {"parametric", "customer_segments", "final_prompts", "segments_report"}
