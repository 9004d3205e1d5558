"""Which marks does a file carry, and do they still hold? It never says that a file is authentic: nothing can."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from photodouble.errors import BadInput
from photodouble.media import open_clip
from photodouble.media.pictures import SUFFIXES
from photodouble.provenance import ManifestState, read_manifest, trust_anchors
from photodouble.stages.events import Event, Progress, Result, Started

STAGE = "inspect"
VERDICTS = {"valid": "marked as altered", "tampered": "mark found but broken", "absent": "no mark found"}
_WORST_FIRST = ("tampered", "absent", "valid")


@dataclass(frozen=True)
class InspectConfig:
    """`file`: a video, a picture, or a folder of pictures."""

    file: Path


def run(config: InspectConfig) -> Iterator[Event]:
    """Inspect a file; a folder is as good as the worst of its pictures.

    The result holds `file`, `verdict`, `manifest` (state, trusted, signer, consent, basis, actions, reason, …),
    `watermark` and `forensic`, and for a folder `pictures`: how many are in which state.

    Raises:
        BadInput: there is no such file, or it can be read neither as a video nor as a picture.
    """
    path = Path(config.file)
    files = _files(path)
    yield Started(STAGE, {"files": len(files)})
    anchors = trust_anchors()
    states: Counter[str] = Counter()
    found: ManifestState | None = None
    trusted = True
    for done, file in enumerate(files, 1):
        state = read_manifest(file, anchors)
        states[state.state] += 1
        trusted = trusted and state.trusted
        if path.is_dir():
            state = replace(state, reason=f"{file.name}: {state.reason}")
        if found is None or _WORST_FIRST.index(state.state) < _WORST_FIRST.index(found.state):
            found = state
        if len(files) > 1:
            yield Progress(STAGE, done, len(files), "pictures")
    if found is None or (found.state == "absent" and not path.is_dir()):
        open_clip(path)  # what is neither a video nor a picture gets no verdict but open_clip's sentence
    if found is None:
        raise BadInput(f"{path} holds no pictures: give a folder of pictures, or a file.")
    values: dict[str, Any] = {}
    if path.is_dir():
        values["pictures"] = {name: states[name] for name in VERDICTS}
        found = replace(found, trusted=trusted)
    yield Result(STAGE, {"file": str(path), "verdict": VERDICTS[found.state], **_values(found), **values})


def _values(found: ManifestState) -> dict[str, Any]:
    return {
        "manifest": asdict(found),
        "watermark": {
            "detected": None,
            "identifier": None,
            "confidence": None,
            "note": "this version does not look for a watermark",
        },
        "forensic": None,
    }


def _files(path: Path) -> list[Path]:
    """The file, or the folder's pictures: also those that are too damaged to be opened."""
    if not path.is_dir():
        return [path]
    try:
        return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.name[0] != ".")
    except OSError as error:
        raise BadInput(f"Cannot read the folder {path}: {(error.strerror or str(error)).lower()}.") from error
