"""How often a face is to be seen in training, so that rare poses and expressions are learned as well."""

import warnings

import numpy as np
from scipy.cluster.vq import kmeans2

CLUSTERS = 24
FEWEST = 4
"""Faces in a cluster, on average, at least."""

DEGREES = 30.0
"""A turn of the head by this much counts like one blendshape from nothing to full."""


def balance(blendshapes: np.ndarray, pose: np.ndarray, seed: int = 0) -> np.ndarray:
    """Weights of faces by how rare their pose and expression is.

    Faces are put into clusters (k-means); each face weighs one over the square root of its cluster's size. So a cluster
    is seen as often as the square root of its size says: halfway between as filmed and all clusters alike.

    Args:
        blendshapes: (n, 52) in 0..1. pose: (n, 3) degrees.
        seed: of the clusters' first centres.

    Returns:
        (n,) float32, mean 1.
    """
    points = np.concatenate([np.asarray(blendshapes), np.asarray(pose) / DEGREES], 1, dtype=np.float64)
    clusters = min(CLUSTERS, len(points) // FEWEST, len(np.unique(points, axis=0)))
    if clusters < 2:
        return np.ones(len(points), np.float32)
    with warnings.catch_warnings(action="ignore"):  # a cluster may end up empty
        _, label = kmeans2(points, clusters, minit="++", seed=np.random.default_rng(seed))
    weight = 1 / np.sqrt(np.bincount(label, minlength=clusters)[label])
    return (weight / weight.mean()).astype(np.float32)
