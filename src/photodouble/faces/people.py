"""Tracks joined into people by their embeddings."""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from photodouble.faces.embedding import SAME_PERSON

APART = 2.0
"""Distance given to two tracks that are seen in the same frame of a shot: nobody is there twice."""

MOST = 2000
"""More tracks than this are joined greedily first, so that the table of distances stays small."""


@dataclass(frozen=True)
class Tracks:
    """What is known of n tracks.

    Attributes:
        embedding: (n, 128) float32 of length 1, zeros where a track has none.
        frames: (n,) number of frames.
        area: (n,) mean area of its boxes, plate pixels squared.
        first, last: (n,) first and last frame, counted through all sources.
        shot: (n,) bool: True for a track of moving footage, False for a face on a still.
    """

    embedding: np.ndarray
    frames: np.ndarray
    area: np.ndarray
    first: np.ndarray
    last: np.ndarray
    shot: np.ndarray


def join(tracks: Tracks, threshold: float = SAME_PERSON) -> np.ndarray:
    """Number of the person of each track: 0 the one with the largest sum of frames times area, and so on.

    Average linkage on cosine distance, weighted by nothing but the tracks' number; deterministic.
    """
    count = len(tracks.frames)
    if count <= 1:
        return np.zeros(count, np.int64)
    group = _greedy(tracks, threshold) if count > MOST else np.arange(count)
    centres = _unit(_sums(tracks.embedding * tracks.frames[:, None], group))
    distance = np.clip(1 - centres @ centres.T, 0, 2)
    if count <= MOST:
        together = (tracks.first[:, None] <= tracks.last) & (tracks.first <= tracks.last[:, None])
        distance[together & tracks.shot[:, None] & tracks.shot] = APART
    upper = np.triu_indices(len(centres), 1)
    if len(upper[0]) == 0:
        return np.zeros(count, np.int64)
    cluster = fcluster(linkage(distance[upper], "average"), 1 - threshold, "distance")[group]
    return _by_weight(cluster, tracks.frames * tracks.area)


def match(tracks: Tracks, person: np.ndarray, reference: np.ndarray, threshold: float = SAME_PERSON) -> int | None:
    """The person nearest to the embedding `reference` (128,), or None if nobody is as near as `threshold`."""
    if not len(person):
        return None
    centres = _unit(_sums(tracks.embedding * tracks.frames[:, None], person))
    nearest = int(np.argmax(centres @ reference))
    return nearest if float(centres[nearest] @ reference) >= threshold else None


def _greedy(tracks: Tracks, threshold: float) -> np.ndarray:
    """Group of each track: the first group whose centre is clearly the same person, else a new one."""
    groups = np.zeros(len(tracks.frames), np.int64)
    centres = np.zeros((0, 128), np.float32)
    for index in np.argsort(-tracks.frames, kind="stable"):
        alike = centres @ tracks.embedding[index]
        if len(alike) and (alike.max() > threshold + 0.15 or len(centres) >= MOST):
            groups[index] = int(alike.argmax())
        else:
            groups[index] = len(centres)
            centres = np.concatenate([centres, tracks.embedding[index : index + 1]])
    return groups


def _sums(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    total = np.zeros((int(group.max()) + 1, values.shape[1]), np.float64)
    np.add.at(total, group, values)
    return total


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _by_weight(cluster: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Renumber clusters by falling total weight."""
    names, index = np.unique(cluster, return_inverse=True)
    total = np.zeros(len(names))
    np.add.at(total, index, weight)
    rank = np.empty(len(names), np.int64)
    rank[np.argsort(-total, kind="stable")] = np.arange(len(names))
    return rank[index]
