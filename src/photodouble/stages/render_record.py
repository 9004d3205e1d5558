"""How a render was made: `render.json` in its render folder, from which the report is made again."""

import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from photodouble.errors import BadInput
from photodouble.files import write_json
from photodouble.media import Space
from photodouble.media.sequence import output_names
from photodouble.project import Project, located

RECORD = "render.json"


def place(output: Path) -> Path:
    """What a render is known by: the folder of the pictures that a pattern stands for, else the output itself."""
    return output_names(Path(output))[0]


@dataclass
class RenderRecord:
    """One render.

    Attributes:
        plate, output: the footage and the result.
        matte: the mattes of the result's frames; None: none were kept.
        faces: the FaceSet that holds the plate's faces.
        wanted, replaced: names of the two identities.
        person: number of the replaced person among the plate's; None: the best face of each frame.
        hands: the hands in front of the plate's face, `faces.occlusion.Hands`; None: they were not looked for.
        covers: what else covers it, `faces.occlusion_cover.Covers`; None: it was not looked for.
        colour_space, ocio: what was said of the plate's colours, see `media.Space`; "" and None: nothing.
        source: name of the plate in `faces`; None: that set holds nothing else.
        model, codec: names.
        label_box: x0, y0, x1, y1 of the visible label, None where there is none.
        watermark: the identifier in the watermark, 24 bits; None where there is none.
        settings: name -> value, as the report shows them.
        consent: identity -> its record's basis, reference and digest.
        frames: number of frames written. film_sha256: of the output before it was signed.
        seconds: stage -> seconds it took.
        training: images, images_per_second, ssim (held-out), best, stopped (why, one sentence) and history, a list of
            rows with at least seconds and ssim; empty for a model that needs none.
        warnings: sentences that the stages said.
    """

    plate: Path
    output: Path
    faces: Path
    wanted: str
    replaced: str
    model: str
    codec: str
    matte: Path | None = None
    hands: Path | None = None
    covers: Path | None = None
    person: int | None = None
    source: str | None = None
    colour_space: str = ""
    ocio: Path | str | None = None
    label_box: tuple[int, int, int, int] | None = None
    watermark: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    consent: dict[str, dict[str, str]] = field(default_factory=dict)
    frames: int = 0
    film_sha256: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def space(self) -> Space:
        """What was said of the plate's colours."""
        return Space(self.colour_space, self.ocio)

    def save(self, project: Project) -> Path:
        """Write `render.json` atomically into the project's folder for this render, which is made if need be."""
        path = project.render(self.output) / RECORD
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"Cannot make the folder {path.parent}: {error.strerror}.") from error
        # Absolute paths: the report may be made again from another folder.
        values = asdict(self)
        write_json(
            path, {key: str(item.absolute()) if isinstance(item, Path) else item for key, item in values.items()}
        )
        return path

    @staticmethod
    def load(project: Project, output: Path) -> "RenderRecord":
        """Read the record of the render `output`.

        Raises:
            BadInput: the project did not make it, or made it under another path, or the record is damaged.
        """
        path = project.render(output) / RECORD
        if not path.is_file():
            if elsewhere := _elsewhere(project, output):
                raise BadInput(
                    f"The project {project.root} knows no render {output}, but one at {elsewhere}: if it was moved, "
                    "move it back, or convert the plate again."
                )
            raise BadInput(
                f"Nothing is known about {output} in the project {project.root}: give --project the folder in which it "
                "was converted, or convert it again."
            )
        try:
            values = json.loads(path.read_text())
            values = {key: values[key] for key in values if key in {item.name for item in fields(RenderRecord)}}
            for key in ("plate", "output", "faces"):
                values[key] = Path(values[key])
            for key in ("matte", "hands", "covers"):
                values[key] = Path(values[key]) if values.get(key) else None
            values["label_box"] = tuple(values["label_box"]) if values.get("label_box") else None
            record = RenderRecord(**values)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadInput(f"{path} is damaged: convert the plate again.") from error
        if located(record.output) != located(output):
            raise BadInput(f"{path} is of another render, {record.output}: convert the plate again.")
        return record


def _elsewhere(project: Project, output: Path) -> str:
    """The path of another render with the output's name; "" if there is none."""
    home = project.render(output)
    named = re.compile(re.escape(Path(output).name) + "-[0-9a-f]{8}$")
    for folder in sorted(home.parent.iterdir()) if home.parent.is_dir() else []:
        if not named.match(folder.name):
            continue
        try:
            return str(json.loads((folder / RECORD).read_text())["output"])
        except (OSError, ValueError, TypeError, KeyError):
            continue  # it was never finished
    return ""
