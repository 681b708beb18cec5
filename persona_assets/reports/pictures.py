"""Pictures of the segmentation, as PNG. Colours are Okabe and Ito's, safe for colour-blind eyes."""

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from persona_assets.segmentation import NUMBERS, KChoice

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#777777"
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
TITLES = {
    "total_orders": "Orders",
    "avg_basket": "Basket, USD",
    "total_revenue": "Revenue, USD",
    "months_since_last_order": "Months since\nnewest order",
    "freq_orders_per_month": "Orders\nper month",
}
_ORANGE_TO_BLUE = LinearSegmentedColormap.from_list("", [ORANGE, "#f7f7f7", BLUE])
_METRICS = (
    ("silhouette", "Silhouette (higher is better)"),
    ("calinski_harabasz", "Calinski-Harabasz (higher is better)"),
    ("davies_bouldin", "Davies-Bouldin (lower is better)"),
    ("stability", "Stability (higher is better)"),
    ("inertia", "Inertia (reported, not scored)"),
    ("score", "Score"),
)


def draw_k_choice(choices: Sequence[KChoice]) -> bytes:
    """The metrics by k, the chosen k marked, as a PNG."""
    figure = Figure(figsize=(8.2, 4.6), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    chosen = next((choice for choice in choices if choice.chosen), None)
    for axis, (metric, title) in zip(axes, _METRICS, strict=True):
        points = [(c.k, getattr(c, metric)) for c in choices if getattr(c, metric) is not None]
        if points:
            axis.plot(*zip(*points, strict=True), marker="o", markersize=3.5, color=BLUE)
        else:
            axis.text(0.5, 0.5, "not defined", ha="center", color=GREY, transform=axis.transAxes)
        if chosen:
            axis.axvline(chosen.k, color=ORANGE, linestyle="--", linewidth=1.2)
        if choices:
            axis.set_xlim(choices[0].k - 0.5, choices[-1].k + 0.5)
        axis.set_title(title, fontsize=9, loc="left")
        axis.set_xlabel("k", fontsize=8)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    title = f"{chosen.k} segments of buyers were chosen" if chosen else "No buyers to segment"
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    return _png(figure)


def draw_heat_map(segments: Sequence[Mapping[str, Any]]) -> bytes:
    """Each segment's mean numbers against those of the average buyer, as a PNG.

    segments: rows with segment, customers, the NUMBERS and, if there is one, segment_label; blue
    is above the average, orange below, and a step is a doubling.
    """
    figure = Figure(figsize=(8.2, 1.4 + 0.55 * max(len(segments), 1)), layout="constrained")
    axis = figure.subplots()
    if not segments:
        axis.text(0.5, 0.5, "No buyers", ha="center", color=GREY)
        axis.set_axis_off()
        return _png(figure)
    sizes = np.array([row["customers"] for row in segments])
    means = np.array([[row[number] for number in NUMBERS] for row in segments], dtype=float)
    average = (means * sizes[:, None]).sum(axis=0) / sizes.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.nan_to_num(np.log2(means / average), posinf=0.0, neginf=-3.0)
    axis.imshow(times, cmap=_ORANGE_TO_BLUE, vmin=-3, vmax=3, aspect="auto")
    for (i, j), value in np.ndenumerate(means):
        colour = "white" if abs(times[i, j]) > 2.4 else "black"
        axis.text(j, i, _short(value), ha="center", va="center", fontsize=8, color=colour)
    axis.set_xticks(range(len(NUMBERS)), [TITLES[number] for number in NUMBERS], fontsize=8)
    axis.set_yticks(range(len(segments)), [_name(row) for row in segments], fontsize=8)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title(
        "Means per segment; blue: above the average buyer, orange: below", fontsize=9, loc="left"
    )
    return _png(figure)


def draw_sizes(segments: Sequence[Mapping[str, Any]]) -> bytes:
    """How many customers each segment has, as a PNG. segments: as in draw_heat_map."""
    figure = Figure(figsize=(8.2, 0.9 + 0.38 * max(len(segments), 1)), layout="constrained")
    axis = figure.subplots()
    total = sum(row["customers"] for row in segments)
    for place, row in enumerate(segments):
        axis.barh(place, row["customers"], color=segment_colour(place), height=0.7)
        share = f" {row['customers']:,} ({row['customers'] / total:.1%})"
        axis.text(row["customers"], place, share, va="center", fontsize=8)
    axis.set_yticks(range(len(segments)), [_name(row) for row in segments], fontsize=8)
    axis.invert_yaxis()
    axis.margins(x=0.15)
    axis.set_xticks([])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title(f"{total:,} customers", fontsize=9, loc="left")
    return _png(figure)


def segment_colour(place: int) -> str:
    """The colour of the segment in this place; after eight, they come again."""
    return PALETTE[place % len(PALETTE)]


def as_data_uri(png: bytes) -> str:
    """A picture that travels inside the page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _name(row: Mapping[str, Any]) -> str:
    label = row.get("segment_label")
    return f"{label} ({row['segment']})" if label else row["segment"]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
