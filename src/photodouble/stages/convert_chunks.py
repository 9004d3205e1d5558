"""The chunks of a render: runs of frames, each finished, encoded and written on its own.

A chunk depends on the plate and the settings alone, never on what was made before it, by whom, or when. It consists
of a piece of the output (or a folder of pictures), a piece of the matte, and a note, whose appearance makes it count.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from av import VideoFrame

from photodouble.faces.chunk import ahead
from photodouble.files import atomic, explain, remove, write_json
from photodouble.media import CODECS, Clip
from photodouble.media.joined import clip_pieces, matte_pieces
from photodouble.media.picture_output import picture_name, write_frame
from photodouble.media.pieces import whole
from photodouble.stages.chunks import chunk_size
from photodouble.stages.convert_draw import HELD, Drawing, Finished, finished

SIZE = 120
"""Frames in a chunk of a video: what a kill can cost each process. Of pictures an eighth, they are larger."""

MOST = 32
"""Finished frames that wait for the encoder at most."""


@dataclass(frozen=True)
class Chunk:
    """What is known of a finished chunk.

    Attributes:
        frames: how many it holds; `drawn` of them got a face. more: whether the clip may go on after it.
        digests: SHA-256 of the output's piece (or of its pictures) and of the matte's.
    """

    frames: int
    drawn: int
    more: bool
    digests: tuple[str, str]


@dataclass(frozen=True)
class Folder:
    """Where the chunks of one render lie.

    Attributes:
        path: the folder. clip: the plate. codec: of the output; suffix: of its file.
        size: frames in a chunk. names: the pattern of the pictures' names, if there is one.
        seen: chunks that were read already, or written here, by their starts: to read a long film takes minutes.
    """

    path: Path
    clip: Clip
    codec: str
    suffix: str
    size: int = SIZE
    names: Path | None = None
    seen: dict[int, Chunk] = field(default_factory=dict, compare=False, repr=False)

    @property
    def step(self) -> int:
        """Frames in a chunk of this clip."""
        return chunk_size(self.clip, self.size)

    @property
    def video(self) -> bool:
        """Whether the output is one, and not pictures."""
        return bool(CODECS[self.codec].encoder)

    def picture(self, start: int) -> Path:
        """The output's part of the chunk that begins at frame `start`: a piece, or a folder of pictures."""
        return self.path / f"{start:08d}.{'video' if self.video else 'pictures'}"

    def matte(self, start: int) -> Path:
        """The matte's part."""
        return self.path / f"{start:08d}.matte"

    def note(self, start: int) -> Path:
        """The note."""
        return self.path / f"{start:08d}.json"

    def known(self, start: int) -> Chunk | None:
        """The chunk that begins at `start`, if it is there and holds what was written; reads all of it, once."""
        if start in self.seen:
            return self.seen[start]
        try:
            values: dict[str, Any] = json.loads(self.note(start).read_bytes())
            chunk = Chunk(values["frames"], values["drawn"], values["more"], tuple(values["digests"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        matte = whole(self.matte(start))
        if matte is None or (self._digest(start), matte.digest) != chunk.digests:
            return None
        self.seen[start] = chunk
        return chunk

    def _digest(self, start: int) -> str:
        if self.video:
            piece = whole(self.picture(start))
            return piece.digest if piece else ""
        digest = hashlib.sha256()
        for file in sorted(self.picture(start).glob("*")):
            digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()

    def settle(self, start: int, frames: int, drawn: int) -> Chunk:
        """Note that a chunk is finished."""
        matte = whole(self.matte(start))
        chunk = Chunk(frames, drawn, frames == self.step, (self._digest(start), matte.digest if matte else ""))
        write_json(self.note(start), asdict(chunk))
        self.seen[start] = chunk
        return chunk

    def chain(self) -> tuple[list[int], bool]:
        """Starts of the chunks that are finished without a gap from the first on, and whether they are all."""
        starts: list[int] = []
        while (chunk := self.known(len(starts) * self.step)) is not None:
            starts.append(len(starts) * self.step)
            if not chunk.more:
                return starts, True
        return starts, False

    def clean(self) -> None:
        """Remove what a killed process has left half-written."""
        for stale in self.path.glob(".*.part*"):
            remove(stale)


def make(folder: Folder, drawing: Drawing, start: int, stop: int | None) -> Iterator[int]:
    """Make the chunks from frame `start` to `stop` (None: the clip's end); yields 1 for each finished frame.

    Raises:
        BadInput: the plate is damaged, or the disk is full: the chunks before that stay.
    """
    # Drawing goes on while an encoder empties itself at a chunk's end.
    frames = ahead(finished(drawing, start, stop, folder.step), _held(folder))
    at, pending = start, next(frames, None)
    while True:  # where the clip ends with a whole chunk, an empty one says so
        count = drawn = 0
        with ExitStack() as stack:
            mattes = stack.enter_context(matte_pieces(folder.matte(at), folder.clip))
            write = _writer(folder, at, stack)
            while pending is not None and pending.frame.index < at + folder.step:
                write(pending)
                mattes.write(_grey(pending))
                count, drawn = count + 1, drawn + pending.drawn
                yield 1
                pending = next(frames, None)
        if not folder.settle(at, count, drawn).more:
            return
        at += folder.step
        if stop is not None and at >= stop:
            return


def _held(folder: Folder) -> int:
    """Finished frames that may wait for the encoder: pictures may be large, with their layers."""
    size = 3 * folder.clip.width * folder.clip.height
    return max(2, min(MOST, HELD // size)) if folder.video else 1


def _writer(folder: Folder, at: int, stack: ExitStack) -> Callable[[Finished], None]:
    """What takes the frames of the chunk at `at`."""
    if folder.video:
        piece = stack.enter_context(clip_pieces(folder.picture(at), folder.clip, folder.suffix, folder.codec))

        def encode(done: Finished) -> None:
            assert done.coded is not None
            piece.write(done.coded)

        return encode
    part = stack.enter_context(atomic(folder.picture(at)))
    part.mkdir()

    def store(done: Finished) -> None:
        name = picture_name(folder.clip, done.frame.index, CODECS[folder.codec].suffixes[0], folder.names)
        try:
            write_frame(part / name, folder.picture(at) / name, done.frame, folder.clip, done.layers)
        except OSError as error:
            raise explain(error, folder.picture(at) / name) from error

    return store


def _grey(done: Finished) -> VideoFrame:
    grey = VideoFrame.from_numpy_buffer(done.matte, format="gray")
    grey.pts, grey.time_base, grey.duration = done.frame.pts, done.frame.time_base, done.frame.duration
    return grey
