"""Customers in three dimensions: PCA, and UMAP where it is installed."""

import numpy as np
from sklearn.decomposition import PCA


def project_pca(scaled: np.ndarray) -> np.ndarray:
    """(customers, 3): the principal components, missing ones 0."""
    if len(scaled) < 2:
        return np.zeros((len(scaled), 3))
    components = min(3, *scaled.shape)
    found = PCA(n_components=components, random_state=0).fit_transform(scaled)
    return np.pad(found, ((0, 0), (0, 3 - components)))


def project_umap(scaled: np.ndarray) -> np.ndarray | None:
    """(customers, 3): UMAP's embedding, or None without the package umap-learn or with too few
    customers for it (fewer than 50). About ten seconds for 3,000 customers, most of it once."""
    try:
        from umap import UMAP
    except ImportError:
        return None
    if len(scaled) < 50:
        return None
    return UMAP(n_components=3, random_state=0, n_jobs=1).fit_transform(scaled)
