"""The asset graph wired to its resources; `defs` is what Dagster loads.

    sources -> parametric -> cluster_metrics -> centroids -> customer_segments -> segment_labels
            -> final_prompts -> prompts_by_language[language] -> emails[language] -> reports
"""

import hashlib
from typing import Any

import dagster as dg

from persona_assets import automation, schemas
from persona_assets.assets import behaviour, emails, prompts, reports, segmentation, sources
from persona_assets.checks import build_checks
from persona_assets.copywriting.bigquery_writer import BigQueryWriter
from persona_assets.copywriting.chat_writer import ChatWriter
from persona_assets.copywriting.offline import OfflineWriter
from persona_assets.copywriting.writer import Writer
from persona_assets.progress import progress_logger
from persona_assets.settings import SENDER, Settings, load_settings
from persona_assets.warehouse import DuckDBWarehouse, Warehouse


def build_defs(settings: Settings | None = None, **resources: Any) -> dg.Definitions:
    """The whole graph; `resources` replace warehouse or writer, for tests.

    Loading it touches no network and creates no file. Raises InputError when a setting is wrong.
    """
    settings = settings or load_settings()
    on_bigquery = settings.warehouse == "bigquery"
    warehouse = resources.get("warehouse") or build_warehouse(settings)
    writer = resources.get("writer") or _writer(settings, warehouse)
    assets = [
        sources.observe_sources() if on_bigquery else sources.sources,
        sources.countries,
        sources.suppression_list,
        behaviour.parametric,
        segmentation.cluster_metrics,
        segmentation.centroids,
        segmentation.customer_segments,
        segmentation.segment_labels,
        prompts.final_prompts,
        emails.prompts_by_language,
        emails.emails,
        reports.segments_report,
        reports.emails_report,
    ]
    return dg.Definitions(
        assets=dg.map_asset_specs(lambda spec: _operated(spec, settings, writer), assets),
        asset_checks=build_checks(),
        jobs=[
            automation.load_source,
            automation.refresh,
            automation.segments,
            automation.write_emails,
            automation.export,
        ],
        sensors=[automation.source_changed, automation.follow_changes],
        schedules=[automation.weekly_segments],
        resources={
            "settings": settings,
            "warehouse": warehouse,
            **resources,
            "writer": writer,
        },
        # One process may have the warehouse file open at a time.
        executor=dg.in_process_executor,
        loggers={"progress": progress_logger},
    )


def _operated(spec: dg.AssetSpec, settings: Settings, writer: Writer) -> dg.AssetSpec:
    """When the asset is made, how old it may get, and in its code version the settings that
    change what it says."""
    said = {
        "segment_labels": (settings.labels, settings.labels == "hand_off" and settings.model),
        "emails": (writer.name, *(str(getattr(settings, name)) for name in SENDER)),
    }.get(spec.key.to_user_string())
    digest = hashlib.sha256(repr(said).encode()).hexdigest()[:12]
    return spec.replace_attributes(
        automation_condition=automation.CONDITIONS.get(spec.key.to_user_string()),
        freshness_policy=automation.FRESHNESS[spec.group_name],
        code_version=f"{spec.code_version}-{digest}" if said else spec.code_version,
    )


def build_warehouse(settings: Settings, **bounds: float) -> Warehouse:
    """The warehouse that the settings name. Opens and reaches nothing. bounds: what `Jobs` waits
    for, in seconds, where it is not to wait as usual."""
    if settings.warehouse == "duckdb":
        return DuckDBWarehouse(
            settings.warehouse_file, settings.lock_seconds, layouts=schemas.layouts()
        )
    from persona_assets.warehouse.bigquery import BigQueryWarehouse
    from persona_assets.warehouse.jobs import Jobs, resource

    return BigQueryWarehouse(
        Jobs(
            resource(settings.bigquery_project, settings.bigquery_location),
            settings.bigquery_maximum_bytes,
            settings.bigquery_usd_per_tib,
            _labels,
            **bounds,
        ),
        settings.bigquery_project,
        settings.bigquery_dataset,
        settings.bigquery_source,
        settings.bigquery_location,
        schemas.layouts(),
    )


def _labels() -> dict[str, str]:
    """What the jobs of the running step are labelled with: asset (or check) and run."""
    try:
        context = dg.OpExecutionContext.get()
    except dg.DagsterInvariantViolationError:  # no step is running
        return {}
    return {"asset": context.op.name, "run_id": context.run_id}


def _writer(settings: Settings, warehouse: Any) -> Writer:
    if settings.writer == "bigquery":
        return BigQueryWriter.from_settings(settings, warehouse)
    return ChatWriter.from_settings(settings) if settings.writer == "chat" else OfflineWriter()


defs = build_defs()
