"""The options and arguments of the commands, and how `--to` takes many files."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from photodouble.errors import BadInput


class Basis(StrEnum):
    """On what ground somebody's face may be used."""

    RELEASE = "release"
    ESTATE = "estate"
    SYNTHETIC = "synthetic"
    RESEARCH = "research"


class Codec(StrEnum):
    """How pictures are written: the first five in videos, the others in folders of pictures."""

    H264 = "h264"
    HEVC = "hevc"
    PRORES = "prores"
    PRORES4444 = "prores4444"
    FFV1 = "ffv1"
    PNG = "png"
    TIFF = "tiff"
    JPEG = "jpeg"
    EXR = "exr"
    DPX = "dpx"


class Label(StrEnum):
    """A visible label on the frames."""

    RESEARCH = "research"
    CN = "cn"
    CORNER = "corner"


LOOK = "Compositing"
BASES = "release, estate, synthetic or research"

ProjectFolder = Annotated[Path, typer.Option("--project", metavar="DIR", help="The project's folder.")]
DemoProject = Annotated[
    Path | None, typer.Option("--project", metavar="DIR", help="The project's folder; default: inside the output's.")
]
SwapProject = Annotated[
    Path | None, typer.Option("--project", metavar="DIR", help="The project's folder; default: beside OUT.")
]
ReportProject = Annotated[
    Path | None,
    typer.Option(
        "--project", metavar="DIR", help="The project's folder; default: the current one, or swap's beside OUT."
    ),
]
NewProject = Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Folder to make; default: --project.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]

Plate = Annotated[Path, typer.Argument(metavar="PLATE", help="Footage whose face is replaced.")]
Sources = Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Clips, pictures or folders of pictures.")]
Wanted = Annotated[
    list[Path], typer.Option("--to", metavar="SOURCE...", help="Footage or pictures of the wanted person.")
]
Rendered = Annotated[Path, typer.Argument(metavar="OUT", help="What convert or swap wrote.")]
AnyFile = Annotated[Path, typer.Argument(metavar="FILE", help="Any video, picture or folder of pictures.")]
Page = Annotated[
    Path | None, typer.Option("--report", metavar="PAGE", help="Write a page about it too, with its frames (HTML).")
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="OUT", help="Video file or folder of pictures to write.")
]
OnnxFile = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="ONNX file to write.")]
DemoOutput = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write into.")]
Matte = Annotated[Path | None, typer.Option("--matte", metavar="FILE", help="Write the face's matte too.")]
VisibleLabel = Annotated[
    Label | None,
    typer.Option(
        "--label", metavar="NAME", help="Visible label: research, cn (China's GB 45438-2025), or corner (own words)."
    ),
]
LabelText = Annotated[str | None, typer.Option("--label-text", metavar="TEXT", help="The words of the label 'corner'.")]
RenderOutput = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="OUT", help="Video file or folder of pictures to write.")
]
Jobs = Annotated[
    int, typer.Option("--jobs", metavar="N", min=1, help="Processes that render side by side; each loads the model.")
]
Frames = Annotated[
    str | None,
    typer.Option("--frames", metavar="LIST", help="Only these get a face: 100,250-260, as the plate counts."),
]
PreviewFolder = Annotated[
    Path | None, typer.Option("--preview", metavar="DIR", help="Render only --frames, as pictures in this folder.")
]
Preset = Annotated[
    str | None,
    typer.Option("--preset", metavar="NAME", help="Compositing as kept under this name.", rich_help_panel=LOOK),
]
SavePreset = Annotated[
    str | None,
    typer.Option("--save-preset", metavar="NAME", help="Keep the compositing under this name.", rich_help_panel=LOOK),
]


def _setting(name: str, text: str) -> Any:
    return Annotated[float | None, typer.Option(name, metavar="X", help=text, rich_help_panel=LOOK)]


MatteGrow = _setting("--matte-grow", "Move the matte's edge out by a part of the face's width, -0.3 to 0.1 (0.05).")
MatteSoftness = _setting("--matte-softness", "Width of the matte's fade in parts of the face's width, 0 to 0.5 (0.14).")
BlendWidth = _setting("--blend-width", "How far colours fade into the plate's, 0.005 to 0.3 (0.12).")
Colour = _setting("--colour", "How much of the match with the plate's colours is done, 0 to 1 (1).")
Edge = _setting("--edge", "How much of the colour step at the matte's edge is spread inwards, 0 to 1 (1).")
Sharpness = _setting("--sharpness", "Detail against the plate's, 0 to 3 (1).")
Grain = _setting("--grain", "How much of the plate's grain the face gets, 0 to 1 (1).")
Opacity = _setting("--opacity", "Of the face, 0 to 1 (1).")
HandsOnly = Annotated[
    bool,
    typer.Option(
        "--hands-only", help="Keep only hands in front of the face, not what else covers it.", rich_help_panel=LOOK
    ),
]
ChosenCodec = Annotated[
    Codec | None,
    typer.Option("--codec", metavar="NAME", help=f"{', '.join(Codec)}; default: what OUT's suffix calls for."),
]
Shots = Annotated[
    Path | None,
    typer.Option("--shots", metavar="FILE", help="An OpenTimelineIO or EDL file: only its shots of the plate."),
]


def _there(context: typer.Context, option: typer.CallbackParam, value: str | None) -> str | None:
    """Refuse a config that is not there where it was typed; the variable OCIO, set for all programs, may go unused."""
    source = context.get_parameter_source(str(option.name))
    typed = source is not None and source.name == "COMMANDLINE"
    if value and typed and not value.startswith("ocio://") and not Path(value).is_file():
        raise BadInput(f"There is no OpenColorIO config {value}: check the name.")
    return value or None


# Text: a Path would make ocio:/ of the ocio:// before the names of OpenColorIO's own configs.
Ocio = Annotated[
    str | None,
    typer.Option(
        "--ocio",
        metavar="FILE",
        envvar="OCIO",
        callback=_there,
        help="OpenColorIO config that explains colour spaces.",
    ),
]
ColourSpace = Annotated[
    str, typer.Option("--colour-space", metavar="NAME", help="Of the footage; default: what its files say.")
]

From = Annotated[str, typer.Option("--from", metavar="NAME", help="Identity in the plate: the double.")]
To = Annotated[str, typer.Option("--to", metavar="NAME", help="Identity wanted: the actor.")]
Faces = Annotated[
    list[Path], typer.Argument(metavar="FACES...", help="Identities' folders, face sets, clips, pictures or folders.")
]
Prior = Annotated[Path, typer.Option("--output", "-o", metavar="MODEL_DIR", help="The prior's folder.")]
Pretrained = Annotated[str, typer.Option("--model", metavar="NAME", help="lite, standard or fine.")]
PretrainProject = Annotated[
    Path | None,
    typer.Option("--project", metavar="DIR", help="Keeps what is extracted first; default: beside MODEL_DIR."),
]
Identity = Annotated[str, typer.Option("--identity", metavar="NAME", help="Whose face to take.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The identity whose face it is.")]
Likeness = Annotated[
    Path | None,
    typer.Option("--reference", metavar="PICTURE", help="A picture of the person; default: the largest face."),
]
Detector = Annotated[str, typer.Option("--detector", metavar="NAME", help="yunet, or hog (an extra).")]
EveryFrame = Annotated[
    bool, typer.Option("--every-frame", help="For a plate: look at every frame, leave none to optical flow; slower.")
]

Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        help="mesh (no training), lite, standard or fine (256 and 512 pixels, for GPUs), original.",
    ),
]
Trained = Annotated[str, typer.Argument(metavar="MODEL", help="A model of the project, or a model's folder.")]
Drawn = Annotated[str, typer.Option("--to", metavar="NAME", help="Identity that the file shall draw.")]
Half = Annotated[bool, typer.Option("--half", help="Half precision: half the size, for GPUs.")]
Devices = Annotated[int, typer.Option("--devices", metavar="N", min=1, help="CUDA devices to train on together.")]
Minutes = Annotated[float, typer.Option("--minutes", metavar="M", min=0, help="Training time at most.")]
Limit = Annotated[
    float | None,
    typer.Option("--minutes", metavar="M", min=0, help="Time at most; default: until the figures stop improving."),
]
Init = Annotated[
    str | None,
    typer.Option(
        "--init", metavar="START", help="bundled, none, or the folder of a prior or model; default: what is bundled."
    ),
]
Add = Annotated[bool, typer.Option("--add", help="Add whom the model does not know yet; the others stay as they are.")]
Images = Annotated[int | None, typer.Option("--images", metavar="N", min=1, help="Pictures seen at most.")]

OptionalBasis = Annotated[Basis | None, typer.Option("--basis", metavar="BASIS", help=f"Of both faces' use: {BASES}.")]
OptionalReference = Annotated[
    str | None, typer.Option("--reference", metavar="TEXT", help="Where that agreement is found.")
]
RequiredBasis = Annotated[Basis, typer.Option("--basis", metavar="BASIS", help=f"Ground of the use: {BASES}.")]
Reference = Annotated[str, typer.Option("--reference", metavar="TEXT", help="Where the agreement is found.")]
Document = Annotated[
    Path | None, typer.Option("--document", metavar="FILE", help="The agreement itself; its hash is kept.")
]
Scope = Annotated[str, typer.Option("--scope", metavar="TEXT", help="What is allowed, in words.", show_default=False)]
Expires = Annotated[
    datetime | None,
    typer.Option("--expires", metavar="DATE", formats=["%Y-%m-%d"], help="The last day, like 2030-12-31."),
]
ValidFrom = Annotated[
    datetime | None,
    typer.Option("--valid-from", metavar="DATE", formats=["%Y-%m-%d"], help="The first day, like 2026-01-31."),
]
Production = Annotated[
    str, typer.Option("--production", metavar="TEXT", help="The film or campaign it is for.", show_default=False)
]
Territory = Annotated[str, typer.Option("--territory", metavar="TEXT", help="Where it holds.", show_default=False)]
Media = Annotated[str, typer.Option("--media", metavar="TEXT", help="Cinema, online, ...", show_default=False)]
Pictures = Annotated[
    list[Path] | None,
    typer.Option("--picture", metavar="FILE...", help="The person alone; default: the first faces extracted."),
]
DocumentHash = Annotated[
    str | None,
    typer.Option("--document-sha256", metavar="HEX", help="Of an agreement that is kept elsewhere: no copy is made."),
]
RecordedBy = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who records it; default: the user logged in.")
]
ConsentKey = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="Ed25519 key in PEM that signs; default: your own.")
]
NameOrDigest = Annotated[
    str, typer.Argument(metavar="NAME|DIGEST", help="An identity, or 6 digits or more of an entry's digest.")
]
OptionalName = Annotated[str | None, typer.Argument(metavar="[NAME]", help="One identity; default: all.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, in words.", show_default=False)]
Trust = Annotated[
    str | None, typer.Option("--trust", metavar="KEY", help="A public key: 64 hex digits, or a PEM file.")
]
Called = Annotated[str, typer.Option("--called", metavar="TEXT", help="Whose key it is.", show_default=False)]
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Default: what every stage needs.")]


def beside(output: Path) -> Path:
    """The project that `swap` makes for a render when it is not given one."""
    from photodouble.stages.render_record import place  # loads FFmpeg, which --help does without

    output = place(output)  # pictures' folder holds nothing else
    return output.with_name(f"{output.stem}.photodouble")


class Ordered(TyperGroup):
    """The root command, whose help lists commands in the order in which a newcomer needs them."""

    order = (
        *("demo", "swap", "init", "consent", "extract", "train", "pretrain", "convert", "report", "export"),
        *("inspect", "weights"),
    )

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the commands."""
        return sorted(self.commands, key=self.order.index)


class Command(TyperCommand):
    """A command whose usage line shows what must be given: `train --from NAME --to NAME [OPTIONS]`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Arguments, then required options, then `[OPTIONS]`."""
        pieces = [str(param.metavar) for param in self.params if param.param_type_name == "argument"]
        for param in self.params:
            if param.param_type_name == "option" and param.required:
                pieces.append(f"{param.opts[0]} {param.metavar}")
        return [*pieces, "[OPTIONS]"]


class ManySources(Command):
    """A command whose `--to` takes every file name up to the next option, as the shell expands `--to stills/*.png`."""

    many = "--to"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each of its values, then parse as usual."""
        valued = {name for param in self.params for name in param.opts if not getattr(param, "is_flag", False)}
        return super().parse_args(ctx, repeat_option(args, self.many, {name for name in valued if name[:1] == "-"}))


class ManyPictures(ManySources):
    """A command whose `--picture` takes many files."""

    many = "--picture"


def repeat_option(arguments: Iterable[str], option: str, valued: set[str]) -> list[str]:
    """`--to a b` as `--to a --to b`, once an argument that belongs to no option (the plate) has been seen.

    Before that, only one value belongs to the option: in `--to a.mp4 plate.mp4` the second file is the plate.

    Args:
        arguments: the command line after the command's name.
        option: the option that takes many values.
        valued: every option that takes a value.
    """
    result: list[str] = []
    positional = False
    taking = False  # further values of `option`
    pending = ""  # the option whose one value comes next
    rest = iter(arguments)
    for word in rest:
        if pending:
            taking = pending == option
            pending = ""
        elif word == "--":
            return [*result, word, *rest]
        elif word.startswith("-") and word != "-":
            pending = word if word in valued else ""
            taking = word.startswith(f"{option}=")
        elif taking and positional:
            result.append(option)
        else:
            positional = True
            taking = False
        result.append(word)
    return result
