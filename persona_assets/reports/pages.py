"""Self-contained pages for a browser: the e-mails with their traces, and the segments.

Everything from customers, products and models is data: it is escaped by the template, or goes in
as JSON, and an e-mail is shown in a frame that runs no script.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from persona_assets.languages import LANGUAGES
from persona_assets.reports.pictures import PALETTE, as_data_uri
from persona_assets.segmentation import NUMBERS


def emails_page(
    traces: Sequence[Mapping[str, Any]], counts: Mapping[str, int], shop: str
) -> str:
    """A page with an e-mail per trace, as the customer would see it, with search.

    The e-mail of a trace has `html`, or None where it can only be shown as text; counts: e-mails
    by language code, of which the traces are a sample.
    """
    placed = sorted(traces, key=lambda t: (t["customer"]["language"], t["segment"]["segment"]))
    data = json.loads(json.dumps(placed, default=_plain))
    languages = [
        {"code": code, "name": name, "emails": counts.get(code, 0)}
        for code, name in LANGUAGES.items()
    ]
    return _template("emails.html.j2").render(
        shop=shop, traces=data, languages=languages, total=sum(counts.values())
    )


def segments_page(
    segments: Sequence[Mapping[str, Any]],
    metrics: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, bytes],
    points: Sequence[Mapping[str, Any]],
    projections: Mapping[str, np.ndarray | None],
    shop: str,
    as_of: date,
) -> str:
    """A page with the segments, their sizes and mean numbers, and the metrics of every k.

    segments: rows of segment_profile.sql; metrics: rows of cluster_metrics; pictures: PNGs by
    title; points: rows of segment_points.sql, the customers to show in three dimensions;
    projections: (customers, 3) by name, None where there is none.
    """
    return _template("segments.html.j2").render(
        shop=shop,
        as_of=as_of,
        segments=segments,
        customers=sum(row["customers"] for row in segments),
        metrics=metrics,
        pictures={title: as_data_uri(png) for title, png in pictures.items()},
        points=_points(points),
        projections={
            name: coordinates.round(3).tolist()
            for name, coordinates in projections.items()
            if coordinates is not None
        },
        missing=[name for name, coordinates in projections.items() if coordinates is None],
        palette=PALETTE,
        plotly=Markup(get_plotlyjs()),
    )


def _points(points: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Segment, label and rounded numbers of each customer; no id, no name."""
    return [
        [row["segment"], row["segment_label"], *(round(row[name], 2) for name in NUMBERS)]
        for row in points
    ]


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place on a page")


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


@cache
def _template(name: str) -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = _number
    source = (files(__package__) / name).read_text(encoding="utf-8")
    return environment.from_string(source)
