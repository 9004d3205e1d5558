"""A plate gone over once before its first frame is drawn: what is in front of its face, and how the face looks."""

from collections import deque
from collections.abc import Callable, Iterator
from collections.abc import Generator as Steps
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from photodouble.compositing import face_box, measure_look
from photodouble.compositing.plan import NUMBERS
from photodouble.errors import BadInput
from photodouble.faces import FaceSet
from photodouble.faces.chunk import ahead
from photodouble.faces.occlusion import Hands, HandSeeker
from photodouble.faces.occlusion_cover import Covers
from photodouble.files import NOT_ARRAYS, atomic
from photodouble.media import Clip
from photodouble.media.video import stored_frames
from photodouble.retarget.covered import find_covers
from photodouble.retarget.shot import read
from photodouble.stages.events import Event, Progress

STAGE = "convert"

LOOKED = 3
"""How the plate's face looks is measured in every third frame: light changes slowly."""

WAITING = 4
"""Frames that may wait for that."""

READ = 64
"""Faces whose landmarks are read at once."""

Box = tuple[int, int, int, int]
Shown = Callable[[Box | None], tuple[np.ndarray, tuple[int, int]]]
"""Gives a part of a frame that holds a box (None: all of it), H x W x 3 RGB uint8, and the part's x and y."""


def survey(
    clip: Clip, faces: FaceSet, rows: np.ndarray, hands_file: Path, looks_file: Path
) -> Steps[Event, None, tuple[Hands, np.ndarray]]:
    """The hands in front of the plate's face, and how the face looks (returned): found in one pass, or kept.

    The looks are (t, `NUMBERS` + 2): `Look.numbers` of some frames, NaN in others, and the face's centre.
    """
    if hands_file.is_file() and looks_file.is_file():
        return Hands.load(hands_file), load_looks(looks_file)
    seeker, at = HandSeeker(), 0
    looks = np.full((len(rows), NUMBERS + 2), np.nan)
    wanted, found = faces.frame[rows], _landmarks(faces, rows)
    with ThreadPoolExecutor(1) as pool:
        measured: deque[tuple[int, Future[np.ndarray]]] = deque()
        for number, shown in ahead(_frames(clip), 3):
            points = next(found) if at < len(rows) and wanted[at] == number else None
            if points is not None:
                looks[at, NUMBERS:] = points[:, :2].mean(0)
                if at % LOOKED == 0:
                    measured.append((at, pool.submit(_look_of, shown, points, (clip.height, clip.width))))
                at += 1
            seeker.observe(number, partial(_whole, shown), points)
            while len(measured) > WAITING:  # each holds its frame
                row, numbers = measured.popleft()
                looks[row, :NUMBERS] = numbers.result()
            if number % 16 == 0:
                yield Progress(STAGE, number, clip.estimated_frames, "frames", "looking for hands")
        for row, numbers in measured:
            looks[row, :NUMBERS] = numbers.result()
    hands = seeker.finish()
    hands.save(hands_file)
    with atomic(looks_file) as part, part.open("wb") as file:
        np.savez_compressed(file, looks=looks)
    return hands, looks


def seek_covers(faces: FaceSet, rows: np.ndarray, hands: Hands, file: Path) -> Steps[Event, None, Covers]:
    """What covers the plate's face besides hands (returned): found, or kept."""
    if file.is_file():
        return Covers.load(file)
    steps = find_covers(faces, rows, hands.frame)
    while True:
        try:
            done, total = next(steps)
        except StopIteration as end:
            covers: Covers = end.value
            break
        if done % 16 == 0:
            yield Progress(STAGE, done, total, "faces", "looking for what covers the face")
    covers.save(file)
    return covers


def _frames(clip: Clip) -> Iterator[tuple[int, Shown]]:
    """A clip's frames; RGB is made of the few that are looked at."""
    if clip.kind == "video":
        yield from ((stored.index, stored.shown) for stored in stored_frames(clip))
    else:
        yield from ((frame.index, partial(_same, frame.image)) for frame in clip.frames(dtype=np.uint8))


def _same(image: np.ndarray, _: Box | None) -> tuple[np.ndarray, tuple[int, int]]:
    return image, (0, 0)


def _whole(shown: Shown) -> np.ndarray:
    return shown(None)[0]


def _landmarks(faces: FaceSet, rows: np.ndarray) -> Iterator[np.ndarray]:
    """(478, 3) plate pixels of each row, read by blocks."""
    for start in range(0, len(rows), READ):
        yield from read(faces, rows[start : start + READ])


def _look_of(shown: Shown, points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """`look_numbers` of a face in a frame of H, W, of which nothing but the face's part becomes RGB."""
    image, (x, y) = shown(face_box(points, shape))
    return look_numbers(image, points - np.array([x, y, 0], np.float32))


def look_numbers(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """`Look.numbers` (`NUMBERS`,) of a face with these landmarks in a picture, H x W x 3 uint8; NaN if none is seen."""
    x0, y0, x1, y1 = face_box(points, image.shape[:2])
    look = None
    if min(x1 - x0, y1 - y0) > 1:
        look = measure_look(image[y0:y1, x0:x1].astype(np.float32), points - np.array([x0, y0, 0], np.float32))
    return np.full(NUMBERS, np.nan) if look is None else look.numbers()


def load_looks(path: Path) -> np.ndarray:
    """Read what `survey` kept.

    Raises:
        BadInput: the file is missing, cut off, or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            looks = data["looks"]
        if looks.ndim != 2 or looks.shape[1] != NUMBERS + 2:
            raise ValueError("other numbers")
    except NOT_ARRAYS as error:
        raise BadInput(f"Cannot read the light in {path}: delete the file and run the command again.") from error
    return looks
