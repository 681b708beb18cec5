"""Segments of customers: pure functions on arrays, from features to named centroids."""

from persona_assets.segmentation.choose import KChoice, choose_k
from persona_assets.segmentation.fit import Segments, fit_segments
from persona_assets.segmentation.name import Label, name_segments
from persona_assets.segmentation.prepare import FEATURES, Scale, prepare

__all__ = [
    "FEATURES",
    "KChoice",
    "Label",
    "Scale",
    "Segments",
    "choose_k",
    "fit_segments",
    "name_segments",
    "prepare",
]
