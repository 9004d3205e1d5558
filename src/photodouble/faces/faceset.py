"""A FaceSet: a folder that a person can open, with `crops/` as pictures and `faces.parquet` beside them.

Deleting a picture takes the face out of the set.
"""

import contextlib
import copy
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from photodouble.errors import BadInput
from photodouble.faces import store
from photodouble.faces.alignment import FACE, alignment, crop
from photodouble.faces.face import Face
from photodouble.files import explain, remove

INDEX = "faces.parquet"
CROPS = "crops"
NUMBERS = ("frame", "source", "pts", "person", "track", "quality", "sharpness", "score")
VECTORS = ("box", "pose", "blendshapes", "embedding")


class FaceSet:
    """The faces of one person, in the order of their sources and frames.

    Attributes:
        folder: where it lies. `sources`: the clips' names. `info`: whatever the writer noted.
        crop_size: side of the crops, pixels.
        missing: how many faces are left out because their pictures were deleted.
        frame, source, track, person: (n,) integers; `source` is an index into `sources`.
        pts: (n,) int64. quality, sharpness, score: (n,) float32.
        box: (n, 4), pose: (n, 3), blendshapes: (n, 52), embedding: (n, 128) float32, as in `Face`.
        names: names of the crops.
    """

    def __init__(self, folder: Path) -> None:
        """Read the small columns; landmarks and pictures are read when asked for. See `open`."""
        self.folder = Path(folder)
        index = self.folder / INDEX
        if not index.is_file():
            raise BadInput(f"There are no faces in {folder}: run 'photodouble extract' first.")
        try:
            self._file = pq.ParquetFile(index)
            self.info: dict[str, Any] = json.loads((self._file.metadata.metadata or {})[b"photodouble"])
            small = [name for name in self._file.schema_arrow.names if name not in ("landmarks", "jpeg", "matrix")]
            rows = self._file.read(small)
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise BadInput(f"{index} is damaged: run 'photodouble extract' again.") from error
        self.crop_size: int = self.info["crop_size"]
        self.sources: list[str] = self.info["sources"]
        names = rows.column("crop").to_pylist()
        self._rows = self._present(names)
        self.missing = len(names) - len(self._rows)
        self.names: list[str] = [names[row] for row in self._rows]
        self.frame, self.source, self.pts, self.person, self.track, self.quality, self.sharpness, self.score = (
            rows.column(name).to_numpy()[self._rows] for name in NUMBERS
        )
        self.box, self.pose, self.blendshapes, self.embedding = (
            store.vectors(rows, name)[self._rows] for name in VECTORS
        )
        counts = [self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._cached: tuple[int, pa.Table] | None = None

    @classmethod
    def open(cls, folder: Path) -> "FaceSet":
        """Open the set in `folder`.

        Raises:
            BadInput: there is none, or its index is damaged.
        """
        return cls(folder)

    def __len__(self) -> int:
        return len(self._rows)

    def only(self, rows: np.ndarray) -> "FaceSet":
        """The set with these of its faces only, (k,) integers in rising order."""
        part = copy.copy(self)
        part._rows = self._rows[rows]
        part.names = [self.names[row] for row in rows]
        for name in (*NUMBERS, *VECTORS):
            setattr(part, name, getattr(self, name)[rows])
        return part

    def landmarks(self, i0: int, i1: int) -> np.ndarray:
        """(i1 - i0, 478, 3) float32 plate pixels of the faces `i0` to `i1` (excluded)."""
        return self._vectors("landmarks", i0, i1).reshape(-1, 478, 3)

    def matrices(self, i0: int, i1: int) -> np.ndarray:
        """(i1 - i0, 2, 3) float32: plate pixels to crop pixels."""
        return self._vectors("matrix", i0, i1).reshape(-1, 2, 3)

    def crop(self, i: int) -> np.ndarray:
        """crop_size x crop_size x 3 RGB uint8.

        Raises:
            BadInput: the picture is not readable, or the set was written without pictures.
        """
        return self._read(i, cv2.IMREAD_COLOR, 1)

    def small_crop(self, i: int, least: int) -> np.ndarray:
        """`crop` at a half or a quarter of its size if that is `least` pixels still: JPEG is read so in less time."""
        if self.crop_size >= 4 * least:
            return self._read(i, cv2.IMREAD_REDUCED_COLOR_4, 4)
        return self._read(i, cv2.IMREAD_REDUCED_COLOR_2, 2) if self.crop_size >= 2 * least else self.crop(i)

    def _read(self, i: int, flags: int, step: int) -> np.ndarray:
        path = self.folder / CROPS / self.names[i] if self.names[i] else self.folder / CROPS
        data = path.read_bytes() if path.is_file() else b""
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
        if image is None:
            raise BadInput(f"{path} is not readable as a picture: delete it, and the face is left out.")
        if image.shape[:2] != (-(-self.crop_size // step), -(-self.crop_size // step)):
            raise BadInput(f"{path} is not {self.crop_size} pixels wide and high: delete it, it was changed by hand.")
        return np.ascontiguousarray(image[..., ::-1])

    def face(self, i: int) -> Face:
        """The face with all its fields."""
        row = self._rows[i]
        group = self._group_of(row)
        rows = self._group(group).slice(row - self._starts[group], 1)
        return store.faces_of(rows, self.sources)[0]

    def _present(self, names: list[str]) -> np.ndarray:
        if not any(names):
            return np.arange(len(names))
        folder = self.folder / CROPS
        there = set(os.listdir(folder)) if folder.is_dir() else set()
        return np.array([row for row, name in enumerate(names) if name in there], np.int64)

    def _vectors(self, name: str, i0: int, i1: int) -> np.ndarray:
        wanted = self._rows[i0:i1]
        parts = [np.zeros((0, store.schema().field(name).type.list_size), np.float32)]
        at = 0
        while at < len(wanted):
            group = self._group_of(wanted[at])
            end = int(np.searchsorted(wanted, self._starts[group + 1]))
            parts.append(store.vectors(self._group(group), name)[wanted[at:end] - self._starts[group]])
            at = end
        return np.concatenate(parts)

    def _group_of(self, row: int) -> int:
        return int(np.searchsorted(self._starts, row, "right")) - 1

    def _group(self, group: int) -> pa.Table:
        """One row group; the last one used is kept, so that reading in order reads each once."""
        cached = self._cached
        if cached is None or cached[0] != group:
            cached = group, self._file.read_row_group(group)
            self._cached = cached
        return cached[1]


class FaceSetWriter:
    """Writes a FaceSet under a temporary name; `close` gives it its own, replacing what was there.

    As a context manager it closes itself, or leaves nothing behind after an exception.
    """

    def __init__(
        self, folder: Path, crop_size: int, sources: list[str] | None = None, info: dict[str, Any] | None = None
    ) -> None:
        """Begin a set.

        Args:
            folder: where it shall lie; its parent must exist.
            crop_size: side of the crops, pixels.
            sources: names of the clips; others are added as faces of them come.
            info: noted in the index, for `FaceSet.info`.
        """
        self.folder, self.crop_size = Path(folder), crop_size
        self._sources = list(sources or [])
        self._info = dict(info or {})
        self._part = self.folder.with_name(f".{self.folder.name}.part")
        self._rows: list[tuple[Face, int, np.ndarray, str]] = []
        self._numbers: dict[tuple[int, int], int] = {}
        try:
            remove(self._part)
            (self._part / CROPS).mkdir(parents=True)
            self._index = store.writer(self._part / INDEX, {})
        except OSError as error:
            raise explain(error, self.folder) from error

    def add(self, face: Face, image: np.ndarray | None) -> None:
        """Add a face; `image` is its whole frame (H x W x 3 RGB uint8), None to store no crop."""
        matrix = alignment(face.landmarks, self.crop_size, FACE)
        self.add_encoded(face, matrix, encode(crop(image, matrix, self.crop_size)) if image is not None else b"")

    def add_encoded(self, face: Face, matrix: np.ndarray, jpeg: bytes) -> None:
        """Add a face whose crop is encoded already; empty bytes store no crop."""
        if face.source not in self._sources:
            self._sources.append(face.source)
        source = self._sources.index(face.source)
        number = self._numbers.get((source, face.frame), 0)
        self._numbers = {(source, face.frame): number + 1}  # faces of one frame come together
        name = crop_name(source, face.frame, number) if jpeg else ""
        try:
            if jpeg:
                (self._part / CROPS / name).write_bytes(jpeg)
            self._rows.append((face, source, matrix, name))
            if len(self._rows) >= store.ROW_GROUP:
                self._flush()
        except OSError as error:
            raise explain(error, self.folder) from error

    def note(self, **info: Any) -> None:
        """Add to the set's info."""
        self._info.update(info)

    def close(self) -> None:
        """Finish the set and give it its name."""
        try:
            self._flush()
            note = {**self._info, "crop_size": self.crop_size, "sources": self._sources}
            self._index.add_key_value_metadata({"photodouble": json.dumps(note, sort_keys=True)})
            self._index.close()
            # One call instead of one for each of thousands of small files.
            getattr(os, "sync", lambda: None)()
            remove(self.folder)
            os.replace(self._part, self.folder)
        except OSError as error:
            self.abort()
            raise explain(error, self.folder) from error

    def abort(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(Exception):
            self._index.close()
        remove(self._part)

    def __enter__(self) -> "FaceSetWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _flush(self) -> None:
        if self._rows:
            faces, sources, matrices, names = (list(column) for column in zip(*self._rows, strict=True))
            self._index.write_table(store.table(faces, sources, matrices, names, [b""] * len(faces)))
            self._rows = []


def crop_name(source: int, frame: int, number: int) -> str:
    """Name of a crop: its frame and the face's number in it; from the second source on the source's number first."""
    return (f"{source:02d}-" if source else "") + f"{frame:06d}_{number}.jpg"


def encode(image: np.ndarray) -> bytes:
    """A crop (RGB uint8) as JPEG, quality 95, full colour resolution."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", image[..., ::-1], options)[1].tobytes()
