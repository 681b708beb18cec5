"""Segments of customers: pure functions on arrays, from features to named centroids."""

from persona_assets.segmentation.choose import KChoice, choose_k
from persona_assets.segmentation.fit import Segments, fit_segments
from persona_assets.segmentation.identity import match_segments
from persona_assets.segmentation.model import model_parameters, model_rows
from persona_assets.segmentation.name import Label, name_segments
from persona_assets.segmentation.prepare import FEATURES, NUMBERS, Scale, hash_cutoff, prepare

__all__ = [
    "FEATURES",
    "NUMBERS",
    "KChoice",
    "Label",
    "Scale",
    "Segments",
    "choose_k",
    "fit_segments",
    "hash_cutoff",
    "match_segments",
    "model_parameters",
    "model_rows",
    "name_segments",
    "prepare",
]
