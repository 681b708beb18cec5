"""Languages as a backfill: one run each, and none lost, whatever happens to another."""

import logging
import os
import subprocess
import sys
import time

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._daemon.backfill import execute_backfill_iteration

from persona_assets.assets.emails import emails
from persona_assets.languages import LANGUAGES
from persona_assets.partitions import LANGUAGE_PARTITIONS
from persona_assets.settings import Settings

from .work import rows


def backfill(daemon, settings: Settings, languages: list[str], name: str) -> BulkActionStatus:
    """Launch the languages as the UI does, and let the daemons work until it has ended."""
    daemon.instance.add_backfill(
        PartitionBackfill.from_asset_partitions(
            backfill_id=name,
            asset_graph=daemon.context.create_request_context().asset_graph,
            partition_names=languages,
            asset_selection=[dg.AssetKey("prompts_by_language"), dg.AssetKey("emails")],
            backfill_timestamp=time.time(),
            tags={},
            dynamic_partitions_store=daemon.instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
    )
    for _ in range(50):
        for problem in execute_backfill_iteration(daemon.context, logging.getLogger("test")):
            assert problem is None, problem
        daemon.work_off_the_queue()
        status = daemon.instance.get_backfill(name).status
        if status not in (BulkActionStatus.REQUESTED, BulkActionStatus.FAILING):
            return status
    raise AssertionError("The backfill does not end.")


def health(instance: dg.DagsterInstance) -> dict[str, str]:
    found = instance.get_status_by_partition(emails.key, [*LANGUAGES], LANGUAGE_PARTITIONS)
    return {language: status.value for language, status in found.items() if status}


def test_a_language_that_failed_is_written_alone_and_the_others_stay(watch, shop_home, instance):
    daemon = watch()
    instance.wipe_assets([emails.key])
    in_the_way = shop_home.home / "drafts" / "fr"
    kept = in_the_way.rename(in_the_way.with_name("aside"))
    in_the_way.write_text("not a folder", encoding="utf-8")

    assert backfill(daemon, shop_home, [*LANGUAGES], "all") is BulkActionStatus.COMPLETED_FAILED
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": "all"}))
    assert {run.tags["dagster/partition"] for run in runs} == {*LANGUAGES}
    assert len(runs) == len(LANGUAGES)
    assert health(instance) == dict.fromkeys(LANGUAGES, "MATERIALIZED") | {"fr": "FAILED"}

    in_the_way.unlink()
    kept.rename(in_the_way)
    failed = [language for language, status in health(instance).items() if status == "FAILED"]
    assert backfill(daemon, shop_home, failed, "again") is BulkActionStatus.COMPLETED_SUCCESS
    (again,) = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": "again"}))
    assert again.tags["dagster/partition"] == "fr"
    assert health(instance) == dict.fromkeys(LANGUAGES, "MATERIALIZED")


def test_a_home_works_off_one_run_at_a_time_and_one_language_at_a_time(instance):
    concurrency = instance.get_concurrency_config()
    assert concurrency.run_queue_config.max_concurrent_runs == 1
    assert concurrency.pool_config.default_pool_limit == 1
    assert emails.op.pool == "emails"


# Forks a process per language once everything is imported; prints the languages that failed.
_TOGETHER = """
import os, sys, traceback
import dagster as dg
from persona_assets.definitions import build_defs

job = build_defs().resolve_implicit_global_asset_job_def()
assets = [dg.AssetKey("prompts_by_language"), dg.AssetKey("emails")]

def write(language):
    with dg.DagsterInstance.get() as instance:
        job.execute_in_process(instance=instance, partition_key=language, asset_selection=assets)

together = {}
for language in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            write(language)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    together[child] = language
ended = dict(os.wait() for _ in together)
print(*(language for child, language in together.items() if ended[child]))
"""


def test_nine_languages_launched_at_once_all_finish_with_nothing_lost(home):
    """Nine processes and no queue between them: each waits for the warehouse as it must."""
    before = rows(home, "SELECT language, COUNT(*) FROM persona.emails GROUP BY 1 ORDER BY 1")
    rows(home, "DELETE FROM persona.drafts"), rows(home, "DELETE FROM persona.emails")
    done = subprocess.run(
        [sys.executable, "-c", _TOGETHER, *LANGUAGES],
        env=os.environ
        | {"PERSONA_HOME": str(home.home), "DAGSTER_HOME": str(home.dagster_home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stdout.split() == [], done.stderr[-5000:]
    assert before == rows(
        home, "SELECT language, COUNT(*) FROM persona.emails GROUP BY 1 ORDER BY 1"
    )
    assert rows(
        home,
        "SELECT COUNT(*) FROM persona.emails ANTI JOIN persona.drafts USING (prompt_hash)",
    ) == [(0,)]
