"""The asset graph wired to its resources; `defs` is what Dagster loads.

    sources -> parametric -> cluster_metrics -> centroids -> customer_segments -> segment_labels
            -> final_prompts -> emails[language] -> reports
"""

from typing import Any

import dagster as dg

from persona_assets.assets import behaviour, emails, prompts, reports, segmentation, sources
from persona_assets.checks import build_checks
from persona_assets.copywriting.chat_writer import ChatWriter
from persona_assets.copywriting.offline import OfflineWriter
from persona_assets.copywriting.writer import Writer
from persona_assets.progress import progress_logger
from persona_assets.settings import Settings, load_settings
from persona_assets.warehouse import DuckDBWarehouse


def build_defs(settings: Settings | None = None, **resources: Any) -> dg.Definitions:
    """The whole graph; `resources` replace warehouse or writer, for tests.

    Loading it touches no network and creates no file. Raises InputError when a setting is wrong.
    """
    settings = settings or load_settings()
    return dg.Definitions(
        assets=[
            sources.sources,
            sources.countries,
            sources.suppression_list,
            behaviour.parametric,
            segmentation.cluster_metrics,
            segmentation.centroids,
            segmentation.customer_segments,
            segmentation.segment_labels,
            prompts.final_prompts,
            emails.emails,
            reports.segments_report,
            reports.emails_report,
        ],
        asset_checks=build_checks(),
        resources={
            "settings": settings,
            "warehouse": DuckDBWarehouse(settings.warehouse_file, settings.lock_seconds),
            "writer": _writer(settings),
            **resources,
        },
        # One process may have the warehouse file open at a time.
        executor=dg.in_process_executor,
        loggers={"progress": progress_logger},
    )


def _writer(settings: Settings) -> Writer:
    return ChatWriter.from_settings(settings) if settings.writer == "chat" else OfflineWriter()


defs = build_defs()
