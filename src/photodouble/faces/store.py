"""Faces as rows of a Parquet file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from photodouble.faces.face import Face

ROW_GROUP = 256
"""Faces in a row group: what is read at once, about 1.5 MB of landmarks."""

_VECTORS = {"box": 4, "landmarks": 478 * 3, "blendshapes": 52, "pose": 3, "embedding": 128}
_SCALARS = {
    "frame": pa.int32(),
    "pts": pa.int64(),
    "score": pa.float32(),
    "sharpness": pa.float32(),
    "quality": pa.float32(),
    "track": pa.int32(),
    "person": pa.int32(),
}


def schema(metadata: dict[str, str] | None = None) -> pa.Schema:
    """Columns of a face: its fields, the number of its source, its matrix and its crop's name and JPEG bytes.

    The bytes are used by unfinished chunks only; a FaceSet keeps its crops as pictures of their own.
    """
    fields = [pa.field(name, kind) for name, kind in _SCALARS.items()]
    fields += [pa.field(name, pa.list_(pa.float32(), size)) for name, size in _VECTORS.items()]
    fields += [
        pa.field("source", pa.int32()),
        pa.field("matrix", pa.list_(pa.float32(), 6)),
        pa.field("crop", pa.string()),
        pa.field("jpeg", pa.binary()),
    ]
    return pa.schema(fields, metadata)


def table(
    faces: Sequence[Face],
    sources: Sequence[int],
    matrices: Sequence[np.ndarray],
    crops: Sequence[str],
    jpegs: Sequence[bytes],
) -> pa.Table:
    """Rows for `faces`; the other sequences hold one item a face."""
    kinds = schema()
    columns = []
    for field in kinds:
        if field.name in _SCALARS:
            columns.append(pa.array([getattr(face, field.name) for face in faces], field.type))
        elif field.name in _VECTORS:
            columns.append(_fixed([getattr(face, field.name) for face in faces], _VECTORS[field.name]))
    columns += [pa.array(sources, pa.int32()), _fixed(matrices, 6), pa.array(crops, pa.string())]
    columns.append(pa.array(jpegs, pa.binary()))
    return pa.Table.from_arrays(columns, schema=kinds)


def faces_of(rows: pa.Table, names: Sequence[str] = ()) -> list[Face]:
    """The faces of some rows; `names` are the sources' by number."""
    values = {name: vectors(rows, name) for name in _VECTORS}
    scalars = {name: rows.column(name).to_pylist() for name in _SCALARS}
    source = rows.column("source").to_pylist()
    return [
        Face(
            **{name: column[i] for name, column in scalars.items()},
            **{name: column[i] for name, column in values.items() if name != "landmarks"},
            landmarks=values["landmarks"][i].reshape(478, 3),
            source=names[source[i]] if names else "",
        )
        for i in range(rows.num_rows)
    ]


def vectors(rows: pa.Table, name: str) -> np.ndarray:
    """A column of fixed-size lists as a float32 array (n, size)."""
    size = rows.schema.field(name).type.list_size
    parts = [np.asarray(part.flatten()) for part in rows.column(name).chunks]
    return np.concatenate(parts).reshape(-1, size) if parts else np.zeros((0, size), np.float32)


def writer(path: Path, metadata: dict[str, str]) -> pq.ParquetWriter:
    """Open `path` for writing rows of `schema`."""
    return pq.ParquetWriter(path, schema(metadata), compression="zstd", compression_level=1)


def _fixed(values: Sequence[np.ndarray], size: int) -> pa.FixedSizeListArray:
    flat = np.ascontiguousarray(np.asarray(values, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), size)
