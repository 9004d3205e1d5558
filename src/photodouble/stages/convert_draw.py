"""The plate's frames with the wanted face in them, as an encoder takes them.

Work is done in a window around the face. Where the output has the plate's own format, the rest of the frame is never
turned into RGB: its samples are copied.
"""

import os
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from av import VideoFrame

from photodouble.compositing import Composited, Settings, composite, face_box
from photodouble.errors import BadInput
from photodouble.faces.chunk import ahead
from photodouble.generators import Drawn, Generator, PlateFace
from photodouble.media import CODECS, Clip, Frame
from photodouble.media.codecs import pixel_format
from photodouble.media.frame import Colour
from photodouble.media.matte import matte_code
from photodouble.media.picture_files import Layers
from photodouble.media.stored import Stored, luma_plane
from photodouble.media.video import stored_frames
from photodouble.media.viewing import eight_bit, whole_face
from photodouble.media.writer import encodable, output_colour
from photodouble.provenance import Label, embed, embed_luma, label_region, labelled
from photodouble.retarget.fade import Fade
from photodouble.stages.convert_plan import Plan

SMALLEST = 8
"""Pixels: a face narrower than this is left alone."""

HELD = 100_000_000
"""Bytes of 8-bit frames that a batch may hold, and as many again may wait for the encoder."""


MARGIN = 0.02
"""Of the face's box, on each side of it: that much of the plate becomes RGB. All work is done inside the box."""

NOTHING = np.empty((0, 0, 3), np.uint8)


@dataclass(frozen=True)
class Drawing:
    """What every frame of a render is drawn with.

    Attributes:
        clip, plan, generator: the plate, what is known of it, and what draws faces.
        settings: of compositing.
        codec: of the output; None where RGB is wanted.
        label: the visible one; None: there is none.
        watermark: the identifier in it.
        ranges: frames that get a face; None: all of them.
        threads: that draw, while others decode and encode.
    """

    clip: Clip
    plan: Plan
    generator: Generator
    settings: Settings
    codec: str | None
    watermark: int
    label: Label | None = None
    ranges: tuple[range, ...] | None = None
    threads: int = 2

    @property
    def format(self) -> str | None:
        """FFmpeg's pixel format of the output; None where RGB is wanted."""
        return pixel_format(self.codec, self.clip) if self.codec and CODECS[self.codec].encoder else None

    @property
    def exact(self) -> bool:
        """Whether the output keeps every bit that it is given."""
        return self.codec is None or CODECS[self.codec].exact

    def wants(self, index: int) -> bool:
        """Whether frame `index` shall get a face."""
        return self.ranges is None or any(index in part for part in self.ranges)


@dataclass(frozen=True)
class Finished:
    """A finished frame.

    Attributes:
        frame: it, in RGB; where it was made for an encoder, its image is empty and `coded` holds it.
        matte: H x W uint8, 0 where the plate was left alone.
        drawn: whether a face was drawn.
        layers: for EXR: what it is made of.
    """

    frame: Frame
    coded: VideoFrame | None
    matte: np.ndarray
    drawn: bool
    layers: Layers | None = None


@dataclass(frozen=True)
class _Face:
    """A face to be drawn, in plate pixels: see PlateFace."""

    landmarks: np.ndarray
    target: np.ndarray
    choice: dict[str, int]
    fade: dict[str, Fade]


@dataclass(frozen=True)
class _Window:
    """A frame, the part of it that is worked on and the face in that part's pixels; `at`: the part's x and y."""

    frame: Frame
    at: tuple[int, int]
    face: PlateFace | None


Source = Frame | Stored


def marked(frame: Frame, plate: np.ndarray, matte: np.ndarray, drawing: Drawing) -> Frame:
    """The last step before a frame is encoded: the visible label and the watermark.

    Pictures that keep every bit bear the watermark inside the matte only: outside, the plate's bits stay.

    Args:
        frame: whole and in RGB, of the plate's type; `plate`: its picture before a face was drawn.
        matte: H x W uint8, not 0 where the frame was changed.
    """
    image = _labelled(frame, drawing)
    done = embed(image, frame.index, drawing.watermark, plate)
    return replace(frame, image=np.where(matte[..., None] > 0, done, image) if drawing.exact else done)


def _label(source: Source, drawing: Drawing) -> Label | None:
    """The visible label, if a frame bears one at its time."""
    base, label = (source.clip if isinstance(source, Stored) else source).time_base, drawing.label
    return label if label is not None and label.shown(float(source.pts * base)) else None


def _labelled(frame: Frame, drawing: Drawing) -> np.ndarray:
    """The frame's picture with the visible label, if it bears one."""
    return labelled(frame.image, float(frame.pts * frame.time_base), drawing.label)


def mark_luma(frame: VideoFrame, source: Stored, matte: np.ndarray, drawing: Drawing) -> VideoFrame:
    """Like `marked`, for a frame that keeps the plate's samples: in place."""
    (luma, bits), (before, _) = luma_plane(frame), luma_plane(source.picture)
    into = None if drawing.exact else luma
    done = embed_luma(luma, source.index, drawing.watermark, bits, source.full_range, before, into)
    if drawing.exact:
        cv2.copyTo(done, matte, luma)
    return frame


def native(drawing: Drawing) -> bool:
    """Whether frames keep the plate's samples where nothing was drawn: where the plate's format is the output's."""
    return drawing.clip.kind == "video" and drawing.format is not None


def finished(drawing: Drawing, start: int, stop: int | None, size: int) -> Iterator[Finished]:
    """The frames `start` to `stop`, drawn ahead of their use.

    Faces are drawn in batches that never hold frames on both sides of a multiple of `size`: what is drawn depends on
    the plate alone, not on where one begins.
    """
    most = max(1, min(drawing.generator.batch, HELD // (3 * drawing.clip.width * drawing.clip.height)))
    pending: deque[Future[list[Finished]]] = deque()
    with ThreadPoolExecutor(drawing.threads) as pool:
        for some in _batches(_walk(drawing, start, stop), most, size):
            pending.append(pool.submit(_finish, some, drawing))
            if len(pending) > drawing.threads:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """PyTorch draws with one thread in each of ours: they keep the cores busy, and sums do not depend on how many."""
    torch: Any = sys.modules.get("torch")  # a generator that draws with it has loaded it
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads_for(jobs: int) -> int:
    """Threads that draw in each of `jobs` processes."""
    return max(1, min((os.cpu_count() or 1) // jobs, 4))


def _walk(drawing: Drawing, start: int, stop: int | None) -> Iterator[tuple[Source, _Face | None]]:
    """The plate's frames, each with the face to be drawn in it."""
    clip = drawing.clip
    faces = _faces(drawing, start)
    upcoming = next(faces, None)
    frames: Iterator[Source] = stored_frames(clip, start, stop) if clip.kind == "video" else clip.frames(start, stop)
    for frame in ahead(frames, 3):
        face = None
        if upcoming is not None and upcoming[0] == frame.index:
            face = upcoming[1] if drawing.wants(frame.index) else None
            upcoming = next(faces, None)
        yield frame, face


def _faces(drawing: Drawing, start: int) -> Iterator[tuple[int, _Face]]:
    shot = drawing.plan.shot
    for first, landmarks, target in shot.blocks(int(np.searchsorted(shot.frame, start))):
        for i in range(len(landmarks)):
            at = first + i
            yield int(shot.frame[at]), _Face(landmarks[i], target[i], shot.chosen(at), shot.faded(at))


def _batches(
    walk: Iterator[tuple[Source, _Face | None]], most: int, size: int
) -> Iterator[list[tuple[Source, _Face | None]]]:
    """Runs of up to `most` frames that end before each multiple of `size`."""
    waiting: list[tuple[Source, _Face | None]] = []
    for item in walk:
        if waiting and (len(waiting) >= most or item[0].index % size == 0):
            yield waiting
            waiting = []
        waiting.append(item)
    if waiting:
        yield waiting


def _finish(some: list[tuple[Source, _Face | None]], drawing: Drawing) -> list[Finished]:
    windows = [_window(source, face, drawing) for source, face in some]
    drawn = iter(drawing.generator.draw([window.face for window in windows if window and window.face]))
    return [
        _composited(source, window, next(drawn) if window and window.face else None, drawing)
        for (source, _), window in zip(some, windows, strict=True)
    ]


def _window(source: Source, face: _Face | None, drawing: Drawing) -> _Window | None:
    """What is worked on: around the face in a frame that keeps its samples, else the whole frame; None for nothing."""
    clip = drawing.clip
    sparing = isinstance(source, Stored) and native(drawing) and source.fits(drawing.format or "")
    box = None
    if face is not None:
        box = face_box(face.target, (clip.height, clip.width))
        if min(box[2] - box[0], box[3] - box[1]) < SMALLEST:
            box = None
    label = _label(source, drawing)
    if sparing and box is None and label is None:
        return None
    at, frame = (0, 0), source if isinstance(source, Frame) else None
    if isinstance(source, Stored):
        if sparing:
            # Hands reach out of the face, and are found by their whole edge; a label may be anywhere.
            whole = box is None or label is not None or drawing.plan.front.hides(source.index)
            image, at = source.window((0, 0, clip.width, clip.height) if whole or box is None else _around(box, clip))
            frame = Frame(image, source.index, source.pts, clip.time_base, source.picture.duration or 0, clip.colour)
        else:
            frame = source.frame()
    assert frame is not None
    if (sparing is False) and frame.image.shape[:2] != (clip.height, clip.width):
        raise BadInput(
            f"Frame {frame.index} of {clip.path} is {frame.image.shape[1]}x{frame.image.shape[0]} and not "
            f"{clip.width}x{clip.height} like its first: split the plate there."
        )
    if box is None or face is None:
        return _Window(frame, at, None)
    x, y = at
    shift = np.array([x, y, 0], np.float32)
    x0, y0, x1, y1 = box
    inside = PlateFace(
        eight_bit(frame.image, frame.colour),
        face.landmarks - shift,
        face.target - shift,
        face.choice,
        (x0 - x, y0 - y, x1 - x, y1 - y),
        face.fade,
    )
    return _Window(frame, at, inside)


def _around(box: tuple[int, int, int, int], clip: Clip) -> tuple[int, int, int, int]:
    """The face's box with `MARGIN` on all sides, inside the frame."""
    x0, y0, x1, y1 = box
    wide, high = round(MARGIN * (x1 - x0)), round(MARGIN * (y1 - y0))
    return max(0, x0 - wide), max(0, y0 - high), min(clip.width, x1 + wide), min(clip.height, y1 + high)


def _composited(source: Source, window: _Window | None, drawn: Drawn | None, drawing: Drawing) -> Finished:
    clip = drawing.clip
    matte = np.zeros((clip.height, clip.width), np.uint8)
    if window is None:
        assert isinstance(source, Stored)
        bare = mark_luma(source.copied(drawing.format or "", tags(drawing)), source, matte, drawing)
        return Finished(_bare(source), bare, matte, False)
    frame, (x, y) = window.frame, window.at
    plate = frame.image
    done: Composited | None = None
    part = matte[y : y + frame.image.shape[0], x : x + frame.image.shape[1]]
    if drawn is not None and window.face is not None:
        front, (x0, y0, x1, y1) = drawing.plan.front, window.face.box
        hidden = front.hides(frame.index)
        cover = front.matte(frame.index, window.face.image)[y0:y1, x0:x1] if hidden else None
        picture, points, opacity, colour = drawn.picture, drawn.landmarks, drawn.opacity, frame.colour
        moment = drawing.plan.moments.at(frame.index)
        exr = drawing.codec == "exr"
        done = composite(plate, picture, points, window.face.box, cover, opacity, drawing.settings, colour, moment, exr)
        frame = replace(frame, image=done.image)
        x0, y0, x1, y1 = done.box
        part[y0:y1, x0:x1] = matte_code(done.blended)
    if isinstance(source, Stored) and native(drawing) and source.fits(drawing.format or ""):
        image, where, label = _labelled(frame, drawing), part, _label(source, drawing)
        if label is not None:
            x0, y0, x1, y1 = label_region(label, clip.width, clip.height)
            where = part.copy()
            where[y0:y1, x0:x1] = 255
        changed = source.changed(image, (x, y), where, drawing.format or "", tags(drawing))
        return Finished(_bare(source), mark_luma(changed, source, matte, drawing), matte, drawn is not None)
    layers = _layers(frame, plate, done) if drawing.codec == "exr" else None
    frame = marked(frame, plate, matte, drawing)
    if drawing.format is None:
        return Finished(frame, None, matte, drawn is not None, layers)
    coded = encodable(frame, drawing.format, tags(drawing))
    coded.pts, coded.time_base, coded.duration = frame.pts, frame.time_base, frame.duration
    return Finished(replace(frame, image=NOTHING), coded, matte, drawn is not None)


def _layers(frame: Frame, plate: np.ndarray, done: Composited | None) -> Layers:
    """What an EXR holds beside the composite: of a frame without a drawn face nothing but the plate."""
    if done is None or done.face is None:
        return Layers(np.zeros(plate.shape[:2], np.float32), np.zeros(plate.shape, np.float32), plate)
    return Layers(done.matte, whole_face(done.face, done.box, frame), plate)


def _bare(source: Stored) -> Frame:
    """What is known of a frame, without its picture."""
    clip = source.clip
    return Frame(NOTHING, source.index, source.pts, clip.time_base, source.picture.duration or 0, clip.colour)


def tags(drawing: Drawing) -> Colour:
    """What encoded frames are tagged with."""
    return output_colour(drawing.clip, drawing.format or "")
