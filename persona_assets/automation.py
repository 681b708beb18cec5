"""When what is made: the jobs, and what makes them run by themselves.

Three switches in the UI, all off at first, because each of them can spend money on a model:
`source_changed` loads the source again when it has changed, `follow_changes` makes what depends on
something that has changed, and `weekly_segments` fits the segments again.
"""

import hashlib
import json
from datetime import timedelta

import dagster as dg

from persona_assets.errors import InputError
from persona_assets.export.op import export_emails
from persona_assets.schemas import SOURCES
from persona_assets.settings import Settings
from persona_assets.source import SOURCE_STATE, source_state
from persona_assets.warehouse import Warehouse

WATCHED = (*(model.__name__ for model in SOURCES), "suppression_list")
SOURCE = dg.AssetSelection.assets(*WATCHED, "countries")
BY_LANGUAGE = dg.AssetSelection.assets("prompts_by_language", "emails")
FITTED = dg.AssetSelection.assets("cluster_metrics", "centroids")

load_source = dg.define_asset_job(
    "load_source",
    SOURCE,
    description="The shop's tables, the countries and the suppression list.",
)
refresh = dg.define_asset_job(
    "refresh",
    SOURCE | dg.AssetSelection.all() - BY_LANGUAGE - dg.AssetSelection.assets("emails_report"),
    description="Everything up to the prompts. write_emails goes on from there.",
)
segments = dg.define_asset_job(
    "segments",
    FITTED | dg.AssetSelection.assets("customer_segments", "segment_labels", "segments_report"),
    description="From the customers' numbers to segments with names: fits the model again.",
)
write_emails = dg.define_asset_job(
    "write_emails", BY_LANGUAGE, description="From the prompts to the e-mails, a run per language."
)


@dg.job(description="The e-mails as files to send, into the folder exports of the home.")
def export() -> None:
    export_emails()


# Off at first: it can come in the middle of work by hand.
@dg.sensor(
    job=load_source,
    minimum_interval_seconds=30,
    description="Loads the source when its files, or the suppression list, are not those that "
    "were loaded; follow_changes goes on from there.",
)
def source_changed(
    context: dg.SensorEvaluationContext,
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.SensorResult:
    """Request a load when the source is in another state than the one it was loaded in.

    That one is read from the tables' own metadata: a load by hand counts, and a cursor that is
    reset loads nothing twice. The cursor is what was seen at the last look, and it advances at
    every look: files that differ from one to the next are still being written. The run key
    carries the state and the load that it replaces, so that a load that failed is not repeated
    again and again, and a source that goes back to an earlier state is loaded again.
    """
    try:
        state = source_state(settings, warehouse)
    except InputError as gone:
        return dg.SensorResult(skip_reason=str(gone), cursor="")
    loaded, loads = _loaded(context.instance)
    seen = json.dumps(state, sort_keys=True)
    if not state:
        skip = "There is nothing to watch: the sample shop is made by the first run, and stays."
    elif state == loaded:
        skip = "The source is as it was loaded."
    elif _under_way(context):
        skip = "The source has changed; a load is under way, and the next look is after it."
    elif seen != context.cursor:
        skip = "The source has changed; it is loaded when the next look finds it the same."
    else:
        replaced = [loads[name] for name in loads if loaded.get(name) != state.get(name)]
        key = f"{hashlib.sha256(seen.encode()).hexdigest()[:16]} after {max(replaced, default=0)}"
        return dg.SensorResult([dg.RunRequest(run_key=key)], cursor=seen)
    return dg.SensorResult(skip_reason=skip, cursor=seen)


def _loaded(instance: dg.DagsterInstance) -> tuple[dict[str, str], dict[str, int]]:
    """By table, the state in which it was loaded, and the number of that event."""
    states, events = {}, {}
    for name in WATCHED:
        key = dg.AssetKey(name)
        found = instance.fetch_materializations(key, limit=1).records
        # On BigQuery the source is observed.
        for record in found or instance.fetch_observations(key, limit=1).records:
            events[name] = record.storage_id
            metadata = (record.asset_materialization or record.asset_observation).metadata
            if SOURCE_STATE in metadata:
                states[name] = metadata[SOURCE_STATE].value
    return states, events


def _under_way(context: dg.SensorEvaluationContext) -> bool:
    status = dg.DagsterRunStatus
    waiting = [status.NOT_STARTED, status.QUEUED, status.STARTING, status.STARTED]
    tags = {"dagster/sensor_name": context.sensor_name}
    return bool(context.instance.get_runs_count(dg.RunsFilter(tags=tags, statuses=waiting)))


def _when(changed: dg.AutomationCondition | None = None) -> dg.AutomationCondition:
    """When it is missing or what it is made from has `changed`: once for each time, as soon as
    none of that is missing, being made, or refused by a blocking check."""
    of = dg.AutomationCondition
    # Since it was asked for, not since it was made: what changes while a run is under way would
    # else be taken for what the run has seen.
    due = of.missing() & of.newly_missing().since(of.newly_requested())
    if changed is not None:
        due |= of.any_deps_match(changed).since(of.newly_requested())
    return (
        due
        & ~of.any_deps_missing()
        & ~of.any_deps_in_progress()
        & ~of.in_progress()
        & of.all_deps_blocking_checks_passed()
    )


# A new data version, not a new materialization: a table that was made again and says the same
# causes nothing. A run that makes both has shown the one to the other.
_NEW = (
    dg.AutomationCondition.data_version_changed()
    & ~dg.AutomationCondition.executed_with_root_target()
)
# In the same run as what it is made from, for it costs little.
_FOLLOWING = _when(_NEW | dg.AutomationCondition.will_be_requested())
# After what it is made from, when that turned out to say something new: only then is it paid for.
_IF_NEW = _when(_NEW)
# The model is fitted again by the schedule: segments that shift with each order help nobody.
_IF_MISSING = _when()
CONDITIONS = {
    "parametric": _FOLLOWING,
    "cluster_metrics": _IF_MISSING,
    "centroids": _IF_MISSING,
    "customer_segments": _FOLLOWING,
    "segment_labels": _FOLLOWING,
    "final_prompts": _FOLLOWING,
    "segments_report": _FOLLOWING,
    "prompts_by_language": _IF_NEW,
    "emails": _IF_NEW,
    "emails_report": _IF_NEW,
}

# Off at first: it spends on the model what PERSONA_BUDGET_USD allows, per tick.
follow_changes = dg.AutomationConditionSensorDefinition(
    "follow_changes",
    target=dg.AssetSelection.all(),
    description="Makes what depends on something that says something new; e-mails only in the "
    "languages whose prompts have changed.",
)

# Off at first: it moves customers from segment to segment. Monday before work, UTC.
weekly_segments = dg.ScheduleDefinition(
    name="weekly_segments",
    job=segments,
    cron_schedule="0 4 * * 1",
    description="Fits the segments again; follow_changes takes them to the e-mails.",
)

# Days until a table is marked as getting old, and as too old.
_DAYS = {"source": (2, 7), "behaviour": (2, 7), "segmentation": (8, 15), "emails": (8, 15),
         "reports": (8, 15)}  # fmt: skip
FRESHNESS = {
    group: dg.FreshnessPolicy.time_window(
        warn_window=timedelta(days=warn), fail_window=timedelta(days=fail)
    )
    for group, (warn, fail) in _DAYS.items()
}
