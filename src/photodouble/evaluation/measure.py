"""Measuring a finished render: one pass over plate, output and matte together."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import cv2
import numpy as np

from photodouble.errors import BadInput
from photodouble.evaluation import metrics, pixels
from photodouble.evaluation.grain import BANDS, grain_power
from photodouble.evaluation.pixels import Box
from photodouble.evaluation.quality import PRESENT, Figure, Quality, summarise
from photodouble.faces import Embedder, FaceSet, Landmarker, Landmarks, Roi, outline_matte, pose
from photodouble.media import Clip, Frame, Space, open_clip, open_made
from photodouble.provenance import embed

EMBEDDED = 200  # the encoder costs most: of a longer clip it sees every second, third ... frame, evenly
FLOW_EVERY = 4
THREADS = 2
AHEAD = 8  # frames that may wait for their landmarks
BLOCK = 256


@dataclass(frozen=True)
class Found:
    """The face in an output frame, looked for where the plate's is."""

    landmarks: Landmarks
    embedding: np.ndarray | None


def measure(
    plate: Path,
    output: Path,
    matte: Path | None,
    faces: FaceSet,
    wanted: np.ndarray,
    replaced: np.ndarray | None = None,
    ignore: Sequence[Box] = (),
    rows: Mapping[int, int] | None = None,
    watermark: int | None = None,
    space: Space | None = None,
) -> Quality:
    """Measure a render on the pixels that were written. Memory: some 2 kB a frame besides a few pictures.

    Args:
        plate, output: the footage and the result, of one size.
        matte: the mattes of the result's frames (white where the face was replaced); None: the outline of the
            plate's face stands in, and what changed outside is not known.
        faces: the plate's faces.
        wanted, replaced: embeddings of the two people, (n, 128) or a mean (128,); None: the plate's own faces.
        ignore: boxes x0, y0, x1, y1 that were changed on purpose (the visible label).
        rows: frame index -> row of `faces` that was replaced; None: `plate_rows(faces)`.
        watermark: the identifier in the output's watermark: pixels are compared with the plate's as they are when it
            bears the same mark, so that only other changes count; None: the output has none.
        space: the plate's colour space, where its files do not say it.

    Raises:
        BadInput: a clip cannot be read, or the clips do not fit each other.
    """
    steps = measuring(plate, output, matte, faces, wanted, replaced, ignore, rows, watermark, space)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def measuring(
    plate: Path,
    output: Path,
    matte: Path | None,
    faces: FaceSet,
    wanted: np.ndarray,
    replaced: np.ndarray | None = None,
    ignore: Sequence[Box] = (),
    rows: Mapping[int, int] | None = None,
    watermark: int | None = None,
    space: Space | None = None,
) -> Generator[int, None, Quality]:
    """`measure` step by step: yields the number of frames done, and returns the Quality."""
    plates = open_clip(plate, space=space)
    outputs = open_made(output, plates)
    mattes = open_clip(matte) if matte is not None else None
    _same_size(plates, [clip for clip in (outputs, mattes) if clip])
    rows = plate_rows(faces) if rows is None else rows
    chosen = sorted(rows.values())
    own = faces.embedding[chosen] if replaced is None else replaced
    people = metrics.mean_embedding(wanted), metrics.mean_embedding(own)
    total = plates.count()
    every = max(1, -(-total // EMBEDDED))
    reader = _landmark_reader(faces)
    table, embedder = Table(people), Embedder()
    landmarkers: SimpleQueue[Landmarker] = SimpleQueue()  # one instance serves one thread at a time
    for _ in range(THREADS):
        landmarkers.put(Landmarker())
    waiting: deque[tuple[dict, np.ndarray | None, Future[Found] | None]] = deque()

    def find(image: np.ndarray, roi: Roi, embed: bool) -> Found:
        landmarker = landmarkers.get()
        found = landmarker(image, roi)
        landmarkers.put(landmarker)
        there = embed and found.presence >= PRESENT
        return Found(found, embedder(image, found.points) if there else None)

    def settle() -> int:
        row, points, future = waiting.popleft()
        table.add(row, points, future.result() if future else None)
        return table.length

    # The networks run in other threads while this one decodes and looks at pixels.
    with ThreadPoolExecutor(THREADS) as pool:
        before: tuple[np.ndarray, np.ndarray] | None = None
        start: float | None = None
        for k, (shot, result, cover) in enumerate(_together(plates, outputs, mattes)):
            row, points, future = {"time": float(result.pts * result.time_base)}, None, None
            if k in rows:
                points = reader(rows[k])
                row |= {"blendshapes_plate": faces.blendshapes[rows[k]], "pose_plate": faces.pose[rows[k]]}
                future = pool.submit(find, result.image, Roi.of_landmarks(points), k % every == 0)
            lag = row["time"] - float(shot.pts * shot.time_base)
            start = lag if start is None else start
            row["lag"] = lag - start
            still = shot.image if watermark is None else embed(shot.image, shot.index, watermark)
            row |= pixel_row(still, result.image, cover, points, ignore, before if k % FLOW_EVERY == 0 else None)
            waiting.append((row, points, future))
            before = still, result.image
            while len(waiting) > AHEAD:
                yield settle()
        while waiting:
            yield settle()
    frames = table.frames()
    lag = np.abs(frames.pop("lag"))
    frames["expression_error"] = metrics.expression_error(frames["blendshapes_output"], frames["blendshapes_plate"])
    late = float(lag.max()) if len(lag) else None
    extra: dict[str, Figure] = {"plate_frames": total, "timestamp_error": late}
    likeness = metrics.cosine(wanted, people[0]) if np.ndim(wanted) == 2 and len(wanted) > 1 else np.zeros(0)
    if np.isfinite(likeness).any():
        extra["similarity_wanted_own"] = round(float(np.nanmean(likeness)), 6)
    return Quality(summarise(frames) | extra, frames)


def plate_rows(faces: FaceSet, person: int | None = None, source: str | None = None) -> dict[int, int]:
    """Which row of a plate's `faces` is the replaced face of each frame: frame index -> row.

    Args:
        person: number of the person in the plate; None: everybody, and the best face (quality) of each frame.
        source: name of the clip in the set; None: all of them.
    """
    best: dict[int, int] = {}
    kept = np.ones(len(faces), bool) if person is None else faces.person == person
    if source is not None:
        kept &= faces.source == (faces.sources.index(source) if source in faces.sources else -1)
    for k in np.flatnonzero(kept):
        frame = int(faces.frame[k])
        if frame not in best or faces.quality[k] > faces.quality[best[frame]]:
            best[frame] = int(k)
    return best


def _same_size(plate: Clip, others: Sequence[Clip]) -> None:
    for clip in others:
        if (clip.width, clip.height) != (plate.width, plate.height):
            raise BadInput(
                f"{clip.path} is {clip.width}x{clip.height}, but the plate {plate.path} is "
                f"{plate.width}x{plate.height}: measure a result against the plate it was made from."
            )


def _together(plate: Clip, output: Clip, mattes: Clip | None) -> Iterator[tuple[Frame, Frame, np.ndarray | None]]:
    """Plate, output and matte (one channel, the clip's own depth) frame by frame, as far as plate and output go."""
    covers = mattes.frames() if mattes else None
    for k, (shot, result) in enumerate(zip(plate.frames(dtype=np.uint8), output.frames(dtype=np.uint8), strict=False)):
        cover = None
        if mattes and covers:
            frame = next(covers, None)
            if frame is None:
                raise BadInput(f"{mattes.path} ends before frame {k}: convert the plate again.")
            cover = frame.image if frame.image.ndim == 2 else cv2.extractChannel(frame.image, 0)
        yield shot, result, cover


def _landmark_reader(faces: FaceSet) -> Callable[[int], np.ndarray]:
    """Landmarks of a row, read in blocks: rows are asked for in about their order."""

    @lru_cache(2)
    def block(number: int) -> np.ndarray:
        return np.asarray(faces.landmarks(number * BLOCK, min((number + 1) * BLOCK, len(faces))))

    return lambda row: block(row // BLOCK)[row % BLOCK]


def pixel_row(
    plate: np.ndarray,
    output: np.ndarray,
    cover: np.ndarray | None,
    points: np.ndarray | None,
    ignore: Sequence[Box],
    before: tuple[np.ndarray, np.ndarray] | None,
) -> dict[str, Any]:
    """What one frame's pixels give; see `Quality.frames` for the names."""
    row: dict[str, Any] = {}
    if cover is not None:
        covered = cover > 0
        outside = pixels.change(output, plate, pixels.erase(~covered, list(ignore)))
        row |= {"outside_largest": outside.largest, "outside_mean": outside.mean}
        label = [pixels.cut(cv2.absdiff(output, plate), box).max(initial=0) for box in ignore]
        row |= {"label_largest": float(max(label))} if label else {}
    elif points is not None:
        cover = outline_matte(points, plate.shape[:2])
        covered = cover > 0
    else:
        return row
    box = pixels.region(covered)
    if box is None:
        return row
    top = 1.0 if cover.dtype.kind == "f" else float(np.iinfo(cover.dtype).max)
    matte = pixels.cut(cover, box).astype(np.float32) / np.float32(top)
    new, old = pixels.cut(output, box), pixels.cut(plate, box)
    grey_new, grey_old, inside = pixels.luma(new), pixels.luma(old), pixels.core(matte)
    row["sharpness_output"], row["sharpness_plate"] = (pixels.sharpness(grey, inside) for grey in (grey_new, grey_old))
    edge = pixels.contour(matte)
    if edge:
        row |= {"edge_output": pixels.edge_contrast(new, edge), "edge_plate": pixels.edge_contrast(old, edge)}
    if before is not None:
        plate_before, output_before = (pixels.luma(pixels.cut(picture, box)) for picture in before)
        errors = pixels.flow_warped_errors((output_before, grey_new), (plate_before, grey_old), matte)
        row |= {"flow_output": errors[0], "flow_plate": errors[1]}
        row["grain_output"], row["grain_plate"] = grain_power(grey_new, grey_old, inside)
    return row


class Table:
    """The rows of numbers of all frames, filled in their order; holds landmarks of the last three frames only."""

    shapes: Mapping[str, tuple[int, ...]] = {
        **dict.fromkeys(("time", "lag", "presence", "eyes_shut", "similarity_wanted", "similarity_replaced"), ()),
        **dict.fromkeys(("landmark_error", "gaze_error", "pose_error"), ()),
        **{f"{name}_{of}": () for name in ("sharpness", "jitter", "flow", "edge") for of in ("output", "plate")},
        **dict.fromkeys(("grain_output", "grain_plate"), (len(BANDS),)),
        **dict.fromkeys(("outside_largest", "outside_mean", "label_largest"), ()),
        **{"box": (4,), "blendshapes_output": (52,), "blendshapes_plate": (52,), "pose_output": (3,)},
        **{"pose_plate": (3,), "gaze_output": (2, 2), "gaze_plate": (2, 2)},
    }

    def __init__(self, people: tuple[np.ndarray, np.ndarray]) -> None:
        self._people = people
        self._rows: list[dict] = []
        self._last: deque[tuple[np.ndarray, np.ndarray] | None] = deque(maxlen=3)

    @property
    def length(self) -> int:
        """Rows so far."""
        return len(self._rows)

    def add(self, row: dict, plate: np.ndarray | None, found: Found | None) -> None:
        """Finish a frame's row with what is known of its face: landmarks of the plate, findings in the output."""
        row |= {"presence": found.landmarks.presence if found else 0.0, "eyes_shut": 0.0}
        pair = None
        if plate is not None:
            low, high = plate[: metrics.MESH, :2].min(0), plate[: metrics.MESH, :2].max(0)
            row |= {"box": np.concatenate([low, high]), "gaze_plate": metrics.gaze(plate)}
            row["eyes_shut"] = float(metrics.eye_opening(plate).min() < metrics.SHUT)
        if plate is not None and found and found.landmarks.presence >= PRESENT:
            points = found.landmarks.points
            pair = points, plate
            turned = pose(points)
            row |= {
                "blendshapes_output": found.landmarks.blendshapes,
                "gaze_output": metrics.gaze(points),
                "pose_output": turned,
                "landmark_error": metrics.landmark_error(points, plate),
                "pose_error": float(metrics.pose_error(turned, row["pose_plate"])),
            }
            row["gaze_error"] = float(metrics.gaze_error(row["gaze_output"], row["gaze_plate"]))
            if found.embedding is not None:
                likeness = [float(metrics.cosine(found.embedding, person)[0]) for person in self._people]
                row |= {"similarity_wanted": likeness[0], "similarity_replaced": likeness[1]}
        self._last.append(pair)
        three = [item for item in self._last if item is not None]
        if len(three) == 3:
            scale = float(metrics.eye_distance(three[-1][1]))
            row["jitter_output"] = metrics.acceleration(three[0][0], three[1][0], three[2][0], scale)
            row["jitter_plate"] = metrics.acceleration(three[0][1], three[1][1], three[2][1], scale)
        self._rows.append(row)

    def frames(self) -> dict[str, np.ndarray]:
        """All rows as columns, float32 (times float64), NaN where a row says nothing."""
        columns: dict[str, np.ndarray] = {}
        for name, shape in self.shapes.items():
            column = np.full((len(self._rows), *shape), np.nan, np.float64 if name in ("time", "lag") else np.float32)
            for k, row in enumerate(self._rows):
                if name in row:
                    column[k] = row[name]
            columns[name] = column
        return columns
