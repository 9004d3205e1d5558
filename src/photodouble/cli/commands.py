"""Every command: turns its options into a stage's config, runs it, shows its events and its result.

Stages are imported inside the commands, so that `photodouble --help` does not wait for PyTorch.
"""

from pathlib import Path
from typing import Annotated

import typer

from photodouble import __version__
from photodouble.cli import options as o
from photodouble.cli.consent_commands import consent
from photodouble.cli.output import HERE, SETTINGS, answer, examples, finish, help_if_alone
from photodouble.errors import BadInput
from photodouble.project import MARKER

FIRST, STEPS, LOOK = "Start here", "Step by step", "Look and keep"

app = typer.Typer(
    cls=o.Ordered,
    context_settings=SETTINGS,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
weights = typer.Typer(help="The third-party model files: list them, fetch them.")
weights.callback(invoke_without_command=True)(help_if_alone)
app.add_typer(consent, name="consent", context_settings=SETTINGS, rich_help_panel=STEPS)
app.add_typer(weights, name="weights", context_settings=SETTINGS, rich_help_panel=LOOK)


def is_project(folder: Path) -> bool:
    """Whether `folder` is a project."""
    return (folder / MARKER).is_file()


def version(asked: bool) -> None:
    """Print the version and leave."""
    if asked:
        print(f"photodouble {__version__}")
        raise typer.Exit()


@app.callback(invoke_without_command=True, epilog="First time here? Run [cyan]photodouble demo[/].")
def root(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a fault.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Put an actor's face on the photo double, with consent on record and every output marked."""
    help_if_alone(context)


@app.command(
    cls=o.Command,
    rich_help_panel=FIRST,
    epilog=examples("photodouble demo", "photodouble demo --output out/demo --minutes 2"),
)
def demo(
    output: o.DemoOutput = Path("out/demo"),
    minutes: o.Minutes = 5,
    project: o.DemoProject = None,
    as_json: o.AsJson = False,
) -> None:
    """Recast a stock clip with a person who does not exist: nothing to prepare."""
    from photodouble.stages import demo as stage

    kept = {} if project is None else {"project": project}
    finish(stage.run(stage.DemoConfig(output=output, minutes=minutes, **kept)), as_json)


@app.command(
    cls=o.ManySources,
    rich_help_panel=FIRST,
    epilog=examples(
        "photodouble swap plate.mp4 --to actor.mp4 --output swap.mp4 \\\n"
        "      --basis release --reference 'contract 12'",
        "photodouble swap plate.mov --to stills/*.png --output swap.mov --model mesh \\\n"
        "      --basis research --reference 'course work'",
    ),
)
def swap(
    plate: o.Plate,
    wanted: o.Wanted,
    output: o.Output,
    minutes: o.Minutes = 5,
    model: o.Model = "lite",
    project: o.SwapProject = None,
    basis: o.OptionalBasis = None,
    reference: o.OptionalReference = None,
    codec: o.ChosenCodec = None,
    matte: o.Matte = None,
    label: o.VisibleLabel = None,
    label_text: o.LabelText = None,
    ocio: o.Ocio = None,
    colour_space: o.ColourSpace = "",
    as_json: o.AsJson = False,
) -> None:
    """Put a person's face on a plate in one go: extract, train, convert, report."""
    from photodouble.stages import swap as stage

    config = stage.SwapConfig(
        plate=plate,
        wanted=wanted,
        output=output,
        minutes=minutes,
        model=model,
        project=project or o.beside(output),
        basis=basis.value if basis else None,
        reference=reference,
        codec=codec.value if codec else None,
        matte=matte,
        label=label.value if label else None,
        label_text=label_text,
        space=stage.Space(colour_space, ocio),
    )
    finish(stage.run(config), as_json)


@app.command(cls=o.Command, rich_help_panel=STEPS, epilog=examples("photodouble init my-film"))
def init(folder: o.NewProject = None, project: o.ProjectFolder = HERE, as_json: o.AsJson = False) -> None:
    """Make a project: the folder of identities, models and renders."""
    from photodouble.project import init_project

    answer({"project": init_project(folder or project).root}, as_json)


@app.command(
    cls=o.Command,
    rich_help_panel=STEPS,
    epilog=examples(
        "photodouble extract actor.mp4 stills/ --identity ada",
        "photodouble extract crowd.mp4 --identity ada --reference ada.jpg",
        "photodouble extract plate.mp4 --identity double --every-frame",
    ),
)
def extract(
    sources: o.Sources,
    identity: o.Identity,
    reference: o.Likeness = None,
    detector: o.Detector = "yunet",
    every_frame: o.EveryFrame = False,
    ocio: o.Ocio = None,
    colour_space: o.ColourSpace = "",
    project: o.ProjectFolder = HERE,
    as_json: o.AsJson = False,
) -> None:
    """Take one person's face from footage, frame by frame."""
    from photodouble.stages import extract as stage

    config = stage.ExtractConfig(
        project=project,
        identity=identity,
        sources=sources,
        reference=reference,
        detector=detector,
        every_frame=every_frame,
        space=stage.Space(colour_space, ocio),
    )
    finish(stage.run(config), as_json)


@app.command(
    cls=o.Command,
    rich_help_panel=STEPS,
    epilog=examples(
        "photodouble train --from double --to ada --minutes 30",
        "photodouble train --from double --to ben --add --minutes 10",
    ),
)
def train(
    source: o.From,
    target: o.To,
    model: o.Model = "lite",
    minutes: o.Limit = None,
    images: o.Images = None,
    devices: o.Devices = 1,
    init: o.Init = None,
    add: o.Add = False,
    project: o.ProjectFolder = HERE,
    as_json: o.AsJson = False,
) -> None:
    """Train a model on two identities; once stopped, it continues."""
    from photodouble.stages import train as stage

    config = stage.TrainConfig(
        project=project,
        source=source,
        target=target,
        model=model,
        minutes=minutes,
        images=images,
        devices=devices,
        init=init,
        add=add,
    )
    finish(stage.run(config), as_json)


@app.command(
    cls=o.Command,
    rich_help_panel=STEPS,
    epilog=examples(
        "photodouble pretrain my-film/identities/* --output prior --minutes 30",
        "photodouble pretrain crowd/ --output prior --basis synthetic \\\n      --reference 'generated by us'",
        "photodouble train --from double --to ada --init prior",
    ),
)
def pretrain(
    faces: o.Faces,
    output: o.Prior,
    model: o.Pretrained = "lite",
    minutes: o.Limit = None,
    images: o.Images = None,
    basis: o.OptionalBasis = None,
    reference: o.OptionalReference = None,
    project: o.PretrainProject = None,
    as_json: o.AsJson = False,
) -> None:
    """Learn from many people's faces what a new model can start from."""
    from photodouble.stages import pretrain as stage

    config = stage.PretrainConfig(
        faces=faces,
        output=output,
        project=project or o.beside(output),
        model=model,
        minutes=minutes,
        images=images,
        basis=basis.value if basis else None,
        reference=reference,
    )
    finish(stage.run(config), as_json)


@app.command(
    cls=o.Command,
    rich_help_panel=STEPS,
    epilog=examples(
        "photodouble convert plate.mov --from double --to ada --output shot.mov",
        "photodouble convert plate.mov --from double --to ada \\\n"
        "      --frames 100,250-260 --preview look --matte-softness 0.15 --save-preset soft",
        "photodouble convert plate.mov --from double --to ada --output shot.mov \\\n      --preset soft --jobs 2",
    ),
)
def convert(
    plate: o.Plate,
    source: o.From,
    target: o.To,
    output: o.RenderOutput = None,
    model: o.Model = "lite",
    codec: o.ChosenCodec = None,
    matte: o.Matte = None,
    label: o.VisibleLabel = None,
    label_text: o.LabelText = None,
    jobs: o.Jobs = 1,
    frames: o.Frames = None,
    preview: o.PreviewFolder = None,
    preset: o.Preset = None,
    save_preset: o.SavePreset = None,
    matte_grow: o.MatteGrow = None,
    matte_softness: o.MatteSoftness = None,
    blend_width: o.BlendWidth = None,
    colour: o.Colour = None,
    edge: o.Edge = None,
    sharpness: o.Sharpness = None,
    grain: o.Grain = None,
    opacity: o.Opacity = None,
    hands_only: o.HandsOnly = False,
    shots: o.Shots = None,
    ocio: o.Ocio = None,
    colour_space: o.ColourSpace = "",
    project: o.ProjectFolder = HERE,
    as_json: o.AsJson = False,
) -> None:
    """Render a plate with the wanted face, marked and signed; stopped, it continues."""
    from photodouble.stages import convert as stage
    from photodouble.stages import convert_preview, convert_ready
    from photodouble.stages.presets import chosen

    if (output is None) == (preview is None):
        raise BadInput("Give either --output OUT, or --frames and --preview DIR for a look at some frames.")
    changes = {
        "matte_grow": matte_grow,
        "matte_softness": matte_softness,
        "blend_width": blend_width,
        "colour": colour,
        "edge": edge,
        "sharpness": sharpness,
        "grain": grain,
        "opacity": opacity,
    }
    config = convert_ready.ConvertConfig(
        project=project,
        plate=plate,
        source=source,
        target=target,
        output=output or preview or HERE,
        model=model,
        codec=codec.value if codec else None,
        matte=matte,
        label=label.value if label else None,
        label_text=label_text,
        jobs=jobs,
        settings=chosen(project, preset, changes, save_preset),
        frames=frames,
        shots=shots,
        space=convert_ready.Space(colour_space, ocio),
        covers=not hands_only,
    )
    finish(convert_preview.run(config) if preview else stage.run(config), as_json)


@app.command(cls=o.Command, rich_help_panel=STEPS, epilog=examples("photodouble report shot.mov"))
def report(output: o.Rendered, project: o.ReportProject = None, as_json: o.AsJson = False) -> None:
    """Measure a render and write its report, one HTML page."""
    from photodouble.stages import report as stage

    if project is None:
        project = o.beside(output) if is_project(o.beside(output)) and not is_project(HERE) else HERE
    finish(stage.run(stage.ReportConfig(output=output, project=project)), as_json)


@app.command(
    cls=o.Command,
    rich_help_panel=STEPS,
    epilog=examples("photodouble export lite --to ada --output ada.onnx"),
)
def export(
    model: o.Trained,
    target: o.Drawn,
    output: o.OnnxFile,
    half: o.Half = False,
    project: o.ProjectFolder = HERE,
    as_json: o.AsJson = False,
) -> None:
    """Write a trained model as ONNX for other tools, with its consent terms inside."""
    from photodouble.stages import export as stage

    config = stage.ExportConfig(project=project, model=model, identity=target, output=output, half=half)
    finish(stage.run(config), as_json)


@app.command(
    cls=o.Command,
    rich_help_panel=LOOK,
    epilog=examples("photodouble inspect clip.mp4", "photodouble inspect clip.mp4 --report clip.html"),
)
def inspect(file: o.AnyFile, report: o.Page = None, project: o.ProjectFolder = HERE, as_json: o.AsJson = False) -> None:
    """Say which marks a file carries and whether it was altered since."""
    from photodouble.stages import inspect as stage

    finish(stage.run(stage.InspectConfig(file=file, report=report)), as_json)


@weights.command("list", cls=o.Command)
def weights_list(project: o.ProjectFolder = HERE, as_json: o.AsJson = False) -> None:
    """List the model files: origin, licence, size, and whether they are here."""
    from photodouble.stages import weights as stage

    finish(stage.run(stage.ListConfig()), as_json)


@weights.command(
    "fetch", cls=o.Command, epilog=examples("photodouble weights fetch", "photodouble weights fetch yunet sface")
)
def weights_fetch(names: o.Names = None, project: o.ProjectFolder = HERE, as_json: o.AsJson = False) -> None:
    """Fetch model files now, so that later runs need no network."""
    from photodouble.stages import weights as stage

    finish(stage.run(stage.FetchConfig(tuple(names or ()))), as_json)
