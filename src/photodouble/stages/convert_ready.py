"""Convert, before its first frame: what is asked for, and all that can be refused.

`prepare` loads what draws once consent is on record.
"""

from collections.abc import Generator as Steps
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from photodouble.compositing import USUAL, Settings
from photodouble.consent import ConsentRecord, digest, require
from photodouble.errors import BadInput
from photodouble.faces import FaceSet
from photodouble.files import config_home, explain
from photodouble.generators import MESH, Generator, load_generator
from photodouble.media import Clip, Space, open_clip
from photodouble.media.matte import check_name
from photodouble.media.sequence import frame_numbers, output_names
from photodouble.media.shots import merged, parse_frames, read_shots
from photodouble.project import Project, open_project
from photodouble.provenance import (
    Label,
    Marking,
    Signer,
    ledgers,
    payload_for,
    signer_for,
)
from photodouble.retarget import Wanted, know_faces
from photodouble.stages.convert_chunks import SIZE
from photodouble.stages.convert_plan import Plan, sources
from photodouble.stages.convert_survey import STAGE
from photodouble.stages.events import Event
from photodouble.stages.labels import check_label, plan_label, with_field
from photodouble.stages.recognise import check_model, settle
from photodouble.training.model_json import load_meta


@dataclass(frozen=True)
class ConvertConfig:
    """What to convert.

    Attributes:
        project: the project's folder.
        plate: the footage whose face is replaced.
        source: name of the identity in the plate (`--from`); target: of the wanted one (`--to`).
        output: a video, a picture, a folder of pictures, or the pattern of their names in it (`DIR/name.####.exr`).
        model: `mesh`, or the name of a trained model of this project.
        codec: a name in `media.CODECS`; None for the usual one of the output's suffix.
        matte: where to put the matte, see `MatteWriter`; None: it stays in the project.
        jobs: processes that render chunks side by side; what they write does not depend on their number.
        settings: of compositing.
        covers: whether what else covers the plate's face than hands is looked for, too.
        frames: the only ones that get a face, like "100,250-260", as the plate counts; None: all of them.
        shots: an OpenTimelineIO or EDL file whose shots of this plate get a face (too, if there are `frames`); None:
            the whole plate.
        space: the plate's colour space, where its files do not say it.
        label, label_text: a visible label (`provenance.PRESETS`) and its own words; None: the one that is required.
        chunk: frames in a chunk.
    """

    project: Path
    plate: Path
    source: str
    target: str
    output: Path
    model: str = "mesh"
    codec: str | None = None
    matte: Path | None = None
    jobs: int = 1
    settings: Settings = USUAL
    frames: str | None = None
    label: str | None = None
    label_text: str | None = None
    chunk: int = SIZE
    shots: Path | None = None
    space: Space = field(default_factory=Space)
    covers: bool = True


@dataclass(frozen=True)
class Ready:
    """What is known before the first frame is drawn: by `prepare`, once all that can be refused has been.

    `signer` signs, `watermark` is the identifier that frames bear, and `ledgers` keep what it leads to.
    """

    project: Project
    records: dict[str, ConsentRecord]
    clip: Clip
    wanted: Wanted
    generator: Generator
    ranges: tuple[range, ...] | None
    signer: Signer
    watermark: int
    ledgers: tuple[Path, ...]

    def label(self, config: "ConvertConfig", plan: Plan) -> Label | None:
        """The visible label, away from the plate's faces; None: there is none."""
        research = any(record.basis == "research" for record in self.records.values())
        return plan_label(config.label, config.label_text, research, self.clip, FaceSet.open(plan.files.faces))


def prepare(config: ConvertConfig) -> Steps[Event, None, Ready]:
    """Load what draws (returned), if consent is on record.

    Raises:
        Refused: consent is missing, or faces or model are not of the record's person.
        BadInput: the plate, the faces or the model cannot be read, or the label cannot be made.
    """
    project = open_project(config.project)
    # The wanted person's record comes first: it gives the basis.
    records = {name: require(project, name, date.today()) for name in (config.target, config.source)}
    check_label(config.label, config.label_text, project.root)
    signer = signer_for(project.root)
    clip = open_clip(config.plate, space=config.space)
    check_plate(clip)
    ranges = chosen_frames(config, clip)
    faces = FaceSet.open(project.faces(config.target))
    yield from settle(project, config.target, faces, STAGE)
    if config.model != MESH:
        check_model(project, project.model(config.model), load_meta(project.model(config.model)), config.target)
    wanted, _ = know_faces(faces)
    generator = load_generator(project, config.model, config.target, wanted)
    books = tuple(ledgers(project.root, config_home()))
    film = " ".join([clip.path.name, *(str(file.stat().st_size) for file in sources(clip))])
    consents = sorted(digest(record) for record in records.values())
    watermark = payload_for([film, config.output.name, generator.model_digest or "", *consents], books)
    return Ready(project, records, clip, wanted, generator, ranges, signer, watermark, books)


def told(config: ConvertConfig) -> dict[str, Any]:
    """The settings that are not the usual ones, for the record."""
    usual = asdict(USUAL)
    changed: dict[str, Any] = {key: value for key, value in asdict(config.settings).items() if value != usual[key]}
    changed |= {} if config.covers else {"hands_only": True}
    changed |= {"frames": config.frames} if config.frames else {}
    return changed | ({"shots": str(config.shots)} if config.shots else {})


def check_output(output: Path, plate: Path, matte: Path | None = None) -> None:
    """Find out before the long work whether the output can be written.

    Raises:
        BadInput: its folder is missing or read-only, or it is the plate; or the matte's name says no format.
    """
    if matte is not None:
        check_name(matte)
        matte = output_names(matte)[0]
    output = output_names(output)[0]
    for path in (output, matte):
        if path is None:
            continue
        if not path.name:
            raise BadInput(
                "The pictures need a folder of their own: give its name before theirs, like out/shot.####.exr."
            )
        probe = path.parent / f".{path.name}.probe"
        try:
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise explain(error, path) from error
        if plate.exists() and path.exists() and path.resolve() == plate.resolve():
            raise BadInput(f"The output {path} is the plate itself: choose another name for the output.")
    if matte is not None and matte.resolve() == output.resolve():
        raise BadInput(f"The matte {matte} is the output itself: choose another name for the matte.")


def check_plate(clip: Clip) -> None:
    """Find out whether a face can be drawn into a plate.

    Raises:
        BadInput: it is interlaced.
    """
    if clip.interlaced:
        raise BadInput(
            f"{clip.path} is interlaced, and a face cannot be drawn into two half pictures: de-interlace it first "
            "(ffmpeg -vf bwdif, or the editing program's own way)."
        )


def chosen_frames(config: ConvertConfig, clip: Clip) -> tuple[range, ...] | None:
    """The frames (by index) that shall get a face; None: all.

    Raises:
        BadInput: a list cannot be read, or it names no frame of the plate.
    """
    found = []
    if config.frames is not None:
        found += parse_frames(config.frames, clip.count(), frame_numbers(clip.files))
    if config.shots is not None:
        found += read_shots(config.shots, clip)
    return None if config.frames is None and config.shots is None else tuple(merged(found))


def mark(ready: Ready, config: ConvertConfig, output: Path) -> Marking:
    """What an output says of itself: the first record, the wanted person's, gives the basis."""
    unique = dict.fromkeys(digest(record) for record in ready.records.values())
    basis = next(iter(ready.records.values())).basis
    marking = Marking(output.name, basis, list(unique), ready.generator.model_digest, plate=config.plate)
    marking = with_field(marking, config.label, output, ready.project.root)
    return replace(marking, watermark=ready.watermark)
