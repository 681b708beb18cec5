"""A made-up online shop in the shape of BigQuery's public data set thelook_ecommerce."""

from .shop import generate, write

__all__ = ["generate", "write"]
