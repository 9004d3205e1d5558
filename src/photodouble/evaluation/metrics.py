"""What the figures about identity, expression and motion mean: pure functions on arrays.

Everywhere: n frames; a frame in which there is nothing to measure is a row of NaN and is left out; a figure that no
frame could give is NaN. "Output" is the finished picture, "plate" the footage whose face was replaced.
"""

import numpy as np
from numpy.typing import ArrayLike

# Landmarks of the 478-point mesh: outer and inner corner of each eye, the iris centre after them.
RIGHT_EYE = (33, 133, 468)
LEFT_EYE = (263, 362, 473)
MESH = 468
MOVES = 0.03  # standard deviation over time from which a blendshape counts as moving
GAZE_MOVES = 0.005  # the same for the gaze, in eye widths
SHUT = 0.1  # distance of the lids, in eye widths, below which an eye shows no gaze


def mean_embedding(embeddings: ArrayLike, quality: ArrayLike | None = None) -> np.ndarray:
    """What a person looks like on the whole: the normalised mean of the embeddings of their better faces.

    Args:
        embeddings: (n, 128) or (128,); rows of zeros or with NaN are faces that were not embedded.
        quality: (n,) 0..1; only the better half (at least the median) is used. None: all of them.

    Returns:
        (128,) float32 of length 1; NaN if there is no embedding at all.
    """
    rows = np.atleast_2d(np.asarray(embeddings, np.float64))
    length = np.linalg.norm(rows, axis=1)
    good = np.isfinite(length) & (length > 1e-6)
    if quality is not None and good.any():
        values = np.asarray(quality, np.float64)
        good &= values >= np.nanmedian(values[good])
    if not good.any():
        return np.full(rows.shape[1], np.nan, np.float32)
    mean = (rows[good] / length[good, None]).mean(0)
    return (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)


def cosine(embeddings: ArrayLike, person: ArrayLike) -> np.ndarray:
    """Similarity of every frame's face to a person: cosine of (n, 128) with (128,) -> (n,), -1..1.

    With SFace (Zhong et al., 2021) faces of one person have 0.73 +- 0.11, of two people 0.05 +- 0.10; OpenCV's
    threshold for "the same person" is 0.363.
    """
    rows, one = np.atleast_2d(np.asarray(embeddings, np.float64)), np.asarray(person, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return rows @ one / (np.linalg.norm(rows, axis=1) * np.linalg.norm(one))


def share_nearer(wanted: ArrayLike, replaced: ArrayLike) -> float:
    """Share of frames (0..1) whose face is nearer to the wanted than to the replaced person: cosine greater."""
    a, b = np.asarray(wanted, np.float64), np.asarray(replaced, np.float64)
    known = np.isfinite(a) & np.isfinite(b)
    return float((a[known] > b[known]).mean()) if known.any() else float("nan")


def eye_distance(landmarks: ArrayLike) -> np.ndarray:
    """Distance between the centres of the eyes (mean of the two corners of each): (..., 478, 2|3) -> (...).

    In space, not in the picture, if z is given: it does not shrink when the head turns.
    """
    points = np.asarray(landmarks, np.float64)
    right = points[..., RIGHT_EYE[:2], :].mean(-2)
    left = points[..., LEFT_EYE[:2], :].mean(-2)
    return np.linalg.norm(right - left, axis=-1)


def align(points: ArrayLike, onto: ArrayLike) -> np.ndarray:
    """Move, turn and scale (k, 2) points so that they lie on `onto` with the least squared distance.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991, in the plane,
    where a similarity is one complex factor.
    """
    a, b = np.asarray(points, np.float64), np.asarray(onto, np.float64)
    ca, cb = a.mean(0), b.mean(0)
    x, y = (a - ca) @ (1, 1j), (b - cb) @ (1, 1j)
    power = float((np.abs(x) ** 2).sum())
    z = x * ((np.conj(x) @ y) / power) if power > 0 else x
    return np.stack([z.real, z.imag], -1) + cb


def landmark_error(output: ArrayLike, plate: ArrayLike) -> float:
    """Mean distance of one frame's 468 mesh points to the plate's after `align`, percent of the plate's eye distance.

    Part of it is meant to be there: the wanted person's face is another shape. Compare it between results for one
    pair of people, not between pairs.
    """
    a, b = np.asarray(output, np.float64)[:MESH], np.asarray(plate, np.float64)[:MESH]
    scale = float(eye_distance(plate))
    if not (np.isfinite(a).all() and np.isfinite(b).all() and scale > 0):
        return float("nan")
    return float(100 * np.linalg.norm(align(a[:, :2], b[:, :2]) - b[:, :2], axis=1).mean() / scale)


def acceleration(before: ArrayLike, middle: ArrayLike, after: ArrayLike, scale: float) -> float:
    """Mean length of the second difference of the 468 mesh points over three consecutive frames, in parts of `scale`.

    A motion at constant speed gives 0; what trembles from frame to frame does not.
    """
    a, b, c = (np.asarray(points, np.float64)[:MESH, :2] for points in (before, middle, after))
    return float(np.linalg.norm(a - 2 * b + c, axis=1).mean() / scale) if scale > 0 else float("nan")


def ratio_of_medians(output: ArrayLike, plate: ArrayLike) -> float:
    """Median over the frames known in both, output over plate; 1 means like the plate. NaN if the plate's is 0.

    The median, so that a cut or a sneeze does not decide. Where both are 0 nothing differs: 1.
    """
    a, b = np.asarray(output, np.float64), np.asarray(plate, np.float64)
    known = np.isfinite(a) & np.isfinite(b)
    if not known.any():
        return float("nan")
    top, bottom = float(np.median(a[known])), float(np.median(b[known]))
    if bottom > 0:
        return top / bottom
    return 1.0 if top == 0 else float("nan")


def grain_ratios(output: ArrayLike, plate: ArrayLike) -> tuple[float, float]:
    """How the grain of n frames, (n, bands) powers, compares: in all, and in the band whose ratio is furthest from 1.

    Ratios of medians over the frames; further is meant in factors: 0.5 is as far as 2.
    """
    a, b = _both(output, plate)
    top, bottom = np.median(a, 0) if len(a) else np.zeros(0), np.median(b, 0) if len(b) else np.zeros(0)
    if not len(a) or not (bottom > 0).all():
        return float("nan"), float("nan")
    each = top / bottom
    far = int(np.argmax(np.abs(np.log(np.maximum(each, 1e-6)))))
    return float(top.sum() / bottom.sum()), float(each[far])


def moving(blendshapes: ArrayLike) -> np.ndarray:
    """Which blendshapes of the plate, (n, 52), move: standard deviation over time of at least 0.03 -> (52,) bool."""
    values = np.asarray(blendshapes, np.float64)
    known = values[np.isfinite(values).all(1)]
    return known.std(0) >= MOVES if len(known) else np.zeros(values.shape[1], bool)


def blendshape_correlation(output: ArrayLike, plate: ArrayLike) -> float:
    """How far the expression follows the plate: mean of the Pearson correlations over time, of those that move.

    One correlation for each blendshape of `moving(plate)` between its (n,) values in output and plate; one that is
    constant in the output counts 0. Correlation, so that a person's own resting face does not matter. -1..1.
    """
    a, b = _both(output, plate)
    columns = np.flatnonzero(moving(b))
    if len(b) < 3 or not columns.size:
        return float("nan")
    return float(np.mean([_pearson(a[:, k], b[:, k]) for k in columns]))


def blendshape_correlation_pooled(output: ArrayLike, plate: ArrayLike) -> float:
    """The same with all 52 blendshapes in one correlation, each centred on its own mean: large motions weigh more."""
    a, b = _both(output, plate)
    if len(b) < 3 or float((b - b.mean(0)).std()) < 1e-6:
        return float("nan")
    return _pearson((a - a.mean(0)).ravel(), (b - b.mean(0)).ravel())


def expression_error(output: ArrayLike, plate: ArrayLike) -> np.ndarray:
    """For each frame, mean distance of the moving blendshapes from the plate's, both centred on their medians -> (n,).

    Used to find the frames with the worst expression; 0..1.
    """
    a, b = np.asarray(output, np.float64), np.asarray(plate, np.float64)
    known = np.isfinite(a).all(1) & np.isfinite(b).all(1)
    error, columns = np.full(len(a), np.nan), moving(b)
    if known.any() and columns.any():
        x, y = a[known][:, columns], b[known][:, columns]
        error[known] = np.abs((x - np.median(x, 0)) - (y - np.median(y, 0))).mean(1)
    return error


def gaze(landmarks: ArrayLike) -> np.ndarray:
    """Where the eyes look: iris centre from the middle of the eye's corners, in eye widths -> (..., 2 eyes, 2).

    The axes are the line from the picture's left corner to its right one, and across it (down). For (..., 478, 2|3).
    """
    points = np.asarray(landmarks, np.float64)[..., :2]
    eyes = []
    for left, right, iris in (RIGHT_EYE, (LEFT_EYE[1], LEFT_EYE[0], LEFT_EYE[2])):
        axis = points[..., right, :] - points[..., left, :]
        offset = points[..., iris, :] - (points[..., right, :] + points[..., left, :]) / 2
        square = np.maximum((axis**2).sum(-1), 1e-12)
        along = (offset * axis).sum(-1) / square
        across = (axis[..., 0] * offset[..., 1] - axis[..., 1] * offset[..., 0]) / square
        eyes.append(np.stack([along, across], -1))
    return np.stack(eyes, -2)


def eye_opening(landmarks: ArrayLike) -> np.ndarray:
    """Distance of the lids' middles, in widths of the eye, for (..., 478, 2|3) -> (..., 2 eyes); about 0.35 is open."""
    points = np.asarray(landmarks, np.float64)[..., :2]
    lids = np.linalg.norm(points[..., [159, 386], :] - points[..., [145, 374], :], axis=-1)
    width = np.linalg.norm(points[..., [33, 362], :] - points[..., [133, 263], :], axis=-1)
    return lids / np.maximum(width, 1e-6)


def gaze_error(output: ArrayLike, plate: ArrayLike) -> np.ndarray:
    """Distance between the gazes (n, 2 eyes, 2) of output and plate, mean of the two eyes -> (n,), eye widths."""
    return np.linalg.norm(np.asarray(output, np.float64) - np.asarray(plate, np.float64), axis=-1).mean(-1)


def gaze_correlation(output: ArrayLike, plate: ArrayLike) -> float:
    """Pearson correlation over time of the sideways gaze (mean of both eyes); NaN if the plate's eyes hardly move."""
    a, b = _both(np.asarray(output)[..., 0].mean(-1), np.asarray(plate)[..., 0].mean(-1))
    return _pearson(a[:, 0], b[:, 0]) if len(b) >= 3 and float(b.std()) >= GAZE_MOVES else float("nan")


def pose_error(output: ArrayLike, plate: ArrayLike) -> np.ndarray:
    """Mean absolute difference of yaw, pitch and roll, (n, 3) degrees -> (n,) degrees."""
    difference = np.asarray(output, np.float64) - np.asarray(plate, np.float64)
    return np.abs((difference + 180) % 360 - 180).mean(-1)


def _both(output: ArrayLike, plate: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The frames known in both, as (m, k) float64."""
    a, b = (np.asarray(values, np.float64) for values in (output, plate))
    a, b = (values[:, None] if values.ndim == 1 else values for values in (a, b))
    known = np.isfinite(a).all(1) & np.isfinite(b).all(1)
    return a[known], b[known]


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two (n,) series; 0 if one of them is constant."""
    x, y = a - a.mean(), b - b.mean()
    power = float(np.sqrt((x @ x) * (y @ y)))
    return float(np.clip(x @ y / power, -1, 1)) if power > 1e-12 else 0.0
