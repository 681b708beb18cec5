"""Pictures of the segmentation, as PNG. Colours are Okabe and Ito's, safe for colour-blind eyes."""

import base64
from collections.abc import Sequence
from io import BytesIO

from matplotlib.figure import Figure

from persona_assets.segmentation import KChoice

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#777777"
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
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


def as_data_uri(png: bytes) -> str:
    """A picture that travels inside the page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
