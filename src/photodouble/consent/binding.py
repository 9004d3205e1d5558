"""Whose face a record is about: its pictures' embeddings, and whether footage shows the same person.

The pictures are those given with `consent add --picture`, or, where none were, some of the first faces extracted under
the record. What is compared is the cosine between a face's SFace embedding (`faces.embedding`) and the pictures' mean.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from photodouble.consent.ledger import bind, history, references
from photodouble.consent.record import Picture, decode_embedding, encode_embedding
from photodouble.errors import BadInput, Refused
from photodouble.faces import FaceSet, Tracker
from photodouble.files import write_bytes
from photodouble.media import Frame, read_view
from photodouble.project import Project

LIMIT = 0.4
"""Cosine from which a face counts as the record's person's. Measured, see docs/CONSENT.md: single frames of 14 people
in 13 clips against the mean of one to eight frames of their own clip had 0.51 and more; of 182 pairs of different
people none reached 0.38, and of 13,975 single frames of others 0.04 % reached 0.4."""

KEPT = 8
"""Pictures of an extraction that a record is bound to, at most."""

SHEET = "mismatch.png"
_TILE, _COLUMNS, _ROWS, _LINE = 160, 6, 4, 18


@dataclass(frozen=True)
class Bound:
    """The person of a record.

    Attributes:
        name: the identity. reference: (128,) float32 of length 1.
        given: whether the pictures were given with the record; else they came from an extraction.
        sheet: where a picture of faces that are somebody else's goes.
    """

    name: str
    reference: np.ndarray
    given: bool
    sheet: Path

    def alike(self, embeddings: np.ndarray) -> np.ndarray:
        """Cosine of each of n embeddings (n, 128) of length 1 with the person: (n,)."""
        return np.asarray(embeddings, np.float32).reshape(-1, 128) @ self.reference


@dataclass(frozen=True)
class Tile:
    """A face on the contact sheet: `image` (H x W x 3 RGB uint8), what it is called and how alike it is."""

    image: np.ndarray
    called: str
    alike: float


def bound(project: Project, name: str) -> Bound | None:
    """The person to whom the identity's consent is bound; None if it is not bound yet.

    Raises:
        BadInput: the record is malformed.
    """
    records = history(project, name)
    pictures = references(records)
    if not pictures:
        return None
    mean = np.sum([decode_embedding(picture.embedding) for picture in pictures], axis=0)
    reference = (mean / max(float(np.linalg.norm(mean)), 1e-6)).astype(np.float32)
    given = any(picture in record.pictures for record in records if record.kind == "consent" for picture in pictures)
    return Bound(name, reference, given, project.identity(name) / SHEET)


def read_pictures(files: Sequence[Path]) -> tuple[Picture, ...]:
    """Reference pictures for a record, each of one person alone.

    Raises:
        BadInput: a file cannot be read, shows no face or several people, or shows another person than the first.
    """
    found = []
    first: np.ndarray | None = None
    tracker = Tracker()
    for file in files:
        image = read_view(file)
        faces = tracker.look(Frame(image, 0, 0, Fraction(1)))
        if not faces:
            raise BadInput(f"No face was found in {file}: give a picture that shows the person's face.")
        largest = max(faces, key=lambda face: float(np.prod(face.box[2:] - face.box[:2])))
        if any(float(face.embedding @ largest.embedding) < LIMIT for face in faces):
            raise BadInput(f"{file} shows several people: give a picture of the person alone.")
        first = largest.embedding if first is None else first
        if float(first @ largest.embedding) < LIMIT:
            raise BadInput(f"{file} and {files[0]} show different people: give pictures of one person.")
        data = hashlib.sha256(file.read_bytes()).hexdigest()
        found.append(Picture(file.name, data, encode_embedding(largest.embedding)))
    return tuple(found)


def bind_faces(project: Project, name: str, faces: FaceSet) -> str | None:
    """Bind a record without pictures to the faces that were extracted under it; says so in a sentence, None if not.

    Raises:
        BadInput: the project cannot be written; Refused: the record was altered.
    """
    rows = _best(faces)
    pictures = []
    for row in rows:
        path = faces.folder / "crops" / faces.names[row]
        if not faces.names[row] or not path.is_file():
            continue
        data = hashlib.sha256(path.read_bytes()).hexdigest()
        pictures.append(Picture(faces.names[row], data, encode_embedding(faces.embedding[row])))
    if not pictures or bind(project, name, pictures) is None:
        return None
    sources = sorted({Path(faces.sources[int(faces.source[row])]).name for row in rows})
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    return (
        f"The consent record of {name!r} had no pictures of the person: from now on it is bound to the face found in "
        f"{sources[0]}{more}, and footage of anybody else is refused."
    )


def check_faces(person: Bound, faces: FaceSet) -> None:
    """Every face of the set must be the person's.

    Raises:
        Refused: some are not; the first are named, and `person.sheet` shows them.
    """
    alike = person.alike(faces.embedding)
    wrong = np.flatnonzero(~(alike >= LIMIT))
    if not len(wrong):
        with contextlib.suppress(OSError):  # the project may be read-only
            person.sheet.unlink(missing_ok=True)
        return
    wrong = wrong[np.argsort(alike[wrong], kind="stable")]
    tiles = []
    for row in wrong[: _COLUMNS * _ROWS].tolist():
        path = faces.folder / "crops" / faces.names[row] if faces.names[row] else None
        image = cv2.imread(str(path)) if path else None
        tiles.append(Tile(_grey() if image is None else image[..., ::-1], faces.names[row], float(alike[row])))
    write_sheet(person, tiles)
    files = ", ".join(str(faces.folder / "crops" / faces.names[row]) for row in wrong[:3])
    raise Refused(
        f"{len(wrong)} of the {len(faces)} faces in {faces.folder} are not of the person in the consent record of "
        f"{person.name!r} ({told(alike[wrong])}): delete those pictures, or extract the right footage; "
        f"{person.sheet} shows them, the first of them {'is' if len(wrong) == 1 else 'are'} {files}."
    )


def check_likeness(person: Bound, likeness: Sequence[float], model: Path) -> None:
    """The faces that a model was trained on, by their mean embedding, must be the person's.

    Raises:
        Refused: they are somebody else's.
    """
    alike = person.alike(np.asarray(likeness))
    if not float(alike[0]) >= LIMIT:
        raise Refused(
            f"The model {model} draws another person than the one in the consent record of {person.name!r} "
            f"({told(alike)}): train one on the right footage."
        )


def refuse_footage(person: Bound, where: str, tiles: Sequence[Tile]) -> Refused:
    """The refusal of footage in which nobody is the person; the faces that were seen go on the sheet."""
    write_sheet(person, tiles)
    alike = np.array([tile.alike for tile in tiles])
    return Refused(
        f"Nobody in {where} is the person in the consent record of {person.name!r} ({told(alike)}): give the right "
        f"footage, or cut it to where the person is seen; {person.sheet} shows the faces that were found."
    )


def told(alike: np.ndarray) -> str:
    """How alike the most alike face is, in words."""
    return f"similarity {float(alike.max()):.2f}, at least {LIMIT:.2f} is asked for"


def write_sheet(person: Bound, tiles: Sequence[Tile]) -> None:
    """Write faces that are not the person's as one PNG, with their names and similarities below."""
    tiles = tiles[: _COLUMNS * _ROWS]
    columns = min(_COLUMNS, max(len(tiles), 2))
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (_TILE + 2 * _LINE), columns * _TILE, 3), 24, np.uint8)
    for number, tile in enumerate(tiles):
        y, x = number // columns * (_TILE + 2 * _LINE), number % columns * _TILE
        small = cv2.resize(np.ascontiguousarray(tile.image), (_TILE, _TILE), interpolation=cv2.INTER_AREA)
        sheet[y : y + _TILE, x : x + _TILE] = small
        name = tile.called if len(tile.called) <= 22 else f"{tile.called[:9]}..{tile.called[-11:]}"
        for line, text in enumerate((name, f"similarity {tile.alike:.2f}")):
            at = (x + 4, y + _TILE + _LINE * line + 13)
            plain = text.encode("ascii", "replace").decode()
            cv2.putText(sheet, plain, at, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (230, 230, 230), 1, cv2.LINE_AA)
    done, data = cv2.imencode(".png", sheet[..., ::-1])
    if done:
        with contextlib.suppress(OSError, BadInput):  # the project may be read-only; the refusal counts
            person.sheet.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(person.sheet, data.tobytes())


def _best(faces: FaceSet) -> list[int]:
    """Rows of some good faces, of as many tracks as there are."""
    tracks = [np.flatnonzero(faces.track == track) for track in np.unique(faces.track)]
    tracks.sort(key=len, reverse=True)
    ordered = [rows[np.argsort(-faces.quality[rows], kind="stable")] for rows in tracks[:KEPT]]
    chosen: list[int] = []
    for turn in range(KEPT):
        chosen += [int(rows[turn]) for rows in ordered if turn < len(rows)]
    return chosen[:KEPT]


def _grey() -> np.ndarray:
    return np.full((_TILE, _TILE, 3), 96, np.uint8)
