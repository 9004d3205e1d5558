"""Which marks does a file carry, and do they still hold? It never says that a file is authentic: nothing can.

Three questions, the surest first: is there a signed manifest, is there a watermark, is there forensic evidence. Beside
them stands what the file says of itself in plain metadata, which anybody can write.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photodouble.errors import BadInput
from photodouble.media import open_clip
from photodouble.media.pictures import SUFFIXES
from photodouble.provenance import ManifestState, find_field, read_manifest, read_watermark, trust_anchors
from photodouble.stages.events import Event, Progress, Result, Started

if TYPE_CHECKING:
    from photodouble.evaluation.inspection import Inspection

STAGE = "inspect"
MARKED, BROKEN, NONE = "marked as altered", "mark found but broken", "no mark found"
_WORST_FIRST = ("tampered", "absent", "valid")


@dataclass(frozen=True)
class InspectConfig:
    """`file`: a video, a picture, or a folder of pictures. `report`: where a page about it goes, if anywhere."""

    file: Path
    report: Path | None = None


def run(config: InspectConfig) -> Iterator[Event]:
    """Inspect a file; a folder is as good as the worst of its pictures.

    The result holds `file`, `verdict`, `manifest` (state, trusted, signer, consent, basis, actions, reason, …),
    `watermark` (detected, identifier, confidence), `forensic`, `declared` (the metadata field AIGC, None: none), and
    for a folder `pictures`: how many are in which state and how many are missing; `report` if one was asked for.

    Raises:
        BadInput: there is no such file, or it can be read neither as a video nor as a picture.
    """
    path = Path(config.file)
    if config.report is not None and config.report.resolve() == path.resolve():
        raise BadInput(f"The report {config.report} is the inspected file itself: choose another name for it.")
    files = _files(path)
    yield Started(STAGE, {"files": len(files)})
    anchors = trust_anchors()
    states: Counter[str] = Counter()
    worst: ManifestState | None = None
    trusted, expected, declared = True, 0, None
    for done, file in enumerate(files, 1):
        state = read_manifest(file, anchors)
        kind = _kind(state)
        states[kind] += 1
        trusted = trusted and state.trusted
        expected = max(expected, (state.picture or {}).get("of", 0))
        declared = declared or find_field(file)
        if path.is_dir():
            state = replace(state, reason=f"{file.name}: {state.reason}")
        if worst is None or _WORST_FIRST.index(kind) < _WORST_FIRST.index(_kind(worst)):
            worst = state
        if len(files) > 1:
            yield Progress(STAGE, done, len(files), "pictures")
    if worst is None:
        open_clip(path)  # says what is wrong with a folder that holds no pictures
        raise BadInput(f"{path} holds no pictures: give a folder of pictures, or a file.")
    if worst.state == "absent" and not path.is_dir():
        open_clip(path)  # what is neither a video nor a picture gets no verdict but open_clip's sentence
    values: dict[str, Any] = {"manifest": asdict(worst)}
    if path.is_dir():
        missing = max(0, expected - len(files))
        values["pictures"] = {name: states[name] for name in ("valid", "tampered", "absent")} | {"missing": missing}
        values["manifest"]["trusted"] = trusted
    watermark = look_for_watermark(path)
    values |= {"watermark": watermark, "forensic": None, "declared": declared}
    values = {"file": str(path), "verdict": verdict(worst, watermark, declared)} | values
    if config.report is not None:
        _write(config.report, values)
        values["report"] = str(config.report)
    yield Result(STAGE, values)


def look_for_watermark(path: Path) -> dict[str, Any]:
    """What the durable watermark of a video, a picture or a folder of pictures says.

    `detected`, `identifier` (six hexadecimal digits, None if not detected), `confidence` (0..1), `strength` (standard
    deviations), `frames` (looked at). `detected` is None, with a `note`, where no frame can be read.
    """
    try:
        found = read_watermark(open_clip(path))
    except BadInput as error:
        return {"detected": None, "identifier": None, "confidence": None, "note": str(error)}
    return {
        "detected": found.detected,
        "identifier": None if found.identifier is None else f"{found.identifier:06x}",
        "confidence": found.confidence,
        "strength": found.strength,
        "frames": found.frames,
    }


def verdict(manifest: ManifestState, watermark: dict[str, Any], declared: dict[str, str] | None) -> str:
    """One of MARKED, BROKEN and NONE.

    A broken manifest is told before anything else: whatever the other marks say, somebody changed what was signed. A
    manifest that declares no alteration (a camera's, say) is no mark of one.
    """
    if manifest.state == "tampered":
        return BROKEN
    return MARKED if manifest.altered or watermark["detected"] or declared else NONE


def _kind(state: ManifestState) -> str:
    """The state as a mark of alteration: a valid manifest that declares none counts as no mark."""
    return "absent" if state.state == "valid" and not state.altered else state.state


def _write(page: Path, values: dict[str, Any]) -> None:
    """Write the page about an inspection's values, with frames if they can be read."""
    from photodouble.evaluation.inspection import write_inspection  # not before it is needed: it takes a second

    try:
        clip = open_clip(Path(values["file"]))
    except BadInput:
        clip = None
    write_inspection(page, _told(values), clip)


def _told(values: dict[str, Any]) -> "Inspection":
    from photodouble.evaluation.inspection import Inspection

    manifest, watermark, pictures = values["manifest"], values["watermark"], values.get("pictures")
    known = {"valid": "valid", "tampered": "tampered with", "absent": "none"}[manifest["state"]]
    if manifest["state"] == "valid":
        known += ", by a trusted signer" if manifest["trusted"] else ", by a signer who is not known here"
    if watermark["detected"] is None:
        seen, says = "not looked for", str(watermark.get("note", ""))
    elif watermark["detected"]:
        seen, says = f"found: {watermark['identifier']}", f"Confidence {watermark['confidence']:.3f}."
    else:
        seen, says = "none", "None was found in the frames."
    questions = [
        {"question": "Signed manifest", "answer": known, "says": manifest["reason"]},
        {"question": "Watermark", "answer": seen, "says": says[:1].upper() + says[1:]},
        {
            "question": "Forensic evidence",
            "answer": "not looked for",
            "says": "This version has no forensic examination.",
        },
    ]
    if values["declared"]:
        says = "Metadata that anybody can write and take away: the field AIGC of GB 45438-2025."
        questions.append({"question": "Declared in plain text", "answer": "made or altered with AI", "says": says})
    if pictures:
        counts = ", ".join(f"{count} {state}" for state, count in pictures.items() if count)
        questions[0]["says"] += f" Pictures: {counts}."
    figures = {key: item for key, item in manifest.items() if key not in ("reason", "made_of")}
    made_of = {
        item["title"] or "?": "with a manifest of its own" if item["manifest"] else "by name"
        for item in manifest["made_of"]
    }
    tables = {
        "The manifest": figures,
        "Made of": made_of,
        "The watermark": watermark,
        "Field AIGC": values["declared"] or {},
    }
    return Inspection(Path(values["file"]).name, values["verdict"], questions, tables)


def _files(path: Path) -> list[Path]:
    """The file, or the folder's pictures: also those that are too damaged to be opened."""
    if not path.is_dir():
        return [path]
    try:
        return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.name[0] != ".")
    except OSError as error:
        raise BadInput(f"Cannot read the folder {path}: {(error.strerror or str(error)).lower()}.") from error
