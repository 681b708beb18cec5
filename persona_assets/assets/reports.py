"""Pages for people: the segments, and the e-mails with their traces."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np

from persona_assets.assets.tables import OWNERS, version_of
from persona_assets.copywriting.message import Sender, as_html
from persona_assets.copywriting.unsubscribe import make_tokens, unsubscribe_link
from persona_assets.failures import asset
from persona_assets.reports.pages import emails_page, segments_page
from persona_assets.reports.pictures import draw_heat_map, draw_k_choice, draw_sizes
from persona_assets.reports.projection import project_pca, project_umap
from persona_assets.segmentation import FEATURES, KChoice, prepare
from persona_assets.settings import Settings
from persona_assets.trace import trace
from persona_assets.warehouse import Warehouse, read_query

GROUP = "reports"
CUSTOMERS_IN_THE_CLOUD = 3_000
EMAILS_PER_LANGUAGE_AND_SEGMENT = 3


@asset(
    deps=["customer_segments", "segment_labels", "cluster_metrics"],
    group_name=GROUP,
    owners=OWNERS[GROUP],
    kinds={"html", "python"},
    code_version=version_of("reports/segments.html.j2"),
    description="Page: the segments, their sizes and numbers, and the metrics of every k.",
)
def segments_report(
    settings: dg.ResourceParam[Settings], warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult:
    segments = warehouse.read(read_query("segment_profile"), {}).to_pylist()
    metrics = warehouse.read(read_query("cluster_metrics"), {}).to_pylist()
    points = warehouse.read(
        read_query("report/segment_points"), {"customers": CUSTOMERS_IN_THE_CLOUD}
    )
    scaled, _ = prepare(np.column_stack([points[name].to_numpy() for name in FEATURES]) * 1.0)
    buyers = [row for row in segments if row["avg_basket"] is not None]
    page = segments_page(
        segments,
        metrics,
        {
            "Sizes": draw_sizes(segments),
            "Against the average buyer": draw_heat_map(buyers),
            "How many segments": draw_k_choice([KChoice(**row) for row in metrics]),
        },
        points.to_pylist(),
        {"PCA": project_pca(scaled), "UMAP": project_umap(scaled)},
        settings.shop_name,
        segments[0]["as_of"],
    )
    return _written(settings.reports / "segments.html", page, {"segments": len(segments)})


@asset(
    deps=["emails"],
    group_name=GROUP,
    owners=OWNERS[GROUP],
    kinds={"html", "python"},
    code_version=version_of("reports/emails.html.j2", "copywriting/message.html.j2"),
    description="Page: a sample of e-mails per language and segment, each with its trace.",
)
def emails_report(
    settings: dg.ResourceParam[Settings], warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult:
    sample = warehouse.read(
        read_query("report/email_sample"), {"emails": EMAILS_PER_LANGUAGE_AND_SEGMENT}
    )
    counts = warehouse.read(read_query("report/email_counts"), {}).to_pylist()
    traces = trace(warehouse, sample["user_id"].to_pylist(), settings)
    sender, tokens = Sender.from_settings(settings), make_tokens(settings)
    for one in traces:
        link = unsubscribe_link(
            settings.unsubscribe_url, tokens.token(one["customer"]["user_id"])
        )
        one["email"]["html"] = _as_html(one, sender, link)
    page = emails_page(
        traces, {row["language"]: row["emails"] for row in counts}, settings.shop_name
    )
    return _written(settings.reports / "emails.html", page, {"shown": len(traces)})


def _as_html(trace: dict[str, Any], sender: Sender, link: str) -> str | None:
    """The e-mail as the customer would see it; None when it was made with other settings."""
    email = trace["email"]
    try:
        return as_html(
            email["marketing_email"],
            language=trace["customer"]["language"],
            subject=email["subject"],
            preheader=email["preheader"],
            sender=sender,
            unsubscribe_link=link,
        )
    except ValueError:
        return None


def _written(file: Path, page: str, shown: dict[str, int]) -> dg.MaterializeResult:
    """Write the page in one step and say where it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=file.parent, prefix=".", suffix=".html", delete=False
    ) as temporary:
        temporary.write(page)
    os.chmod(temporary.name, 0o644)
    os.replace(temporary.name, file)
    return dg.MaterializeResult(
        # No link: a browser opens no file from a page of the Dagster UI.
        metadata={"page": dg.MetadataValue.path(str(file.resolve())), **shown},
        data_version=dg.DataVersion(hashlib.sha256(page.encode()).hexdigest()[:16]),
    )
