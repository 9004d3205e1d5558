"""Make the prior that comes with photodouble, from AI-generated people only: docs/PRIOR.md is its data card.

    python benchmarks/make_prior.py [--images N] [--work FOLDER] [--output FOLDER]

The sheets are fetched like any other weights: sixteen expressions of a person in one light. P006 and P009 are left
out, so that the demo and the README's picture are of people whom the prior has never seen; P003 is not used by
photodouble at all.
"""

import argparse
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from photodouble import weights
from photodouble.consent import add_record
from photodouble.project import init_project
from photodouble.stages import extract, pretrain
from photodouble.stages.events import Event, Progress, Result, Warned
from photodouble.training import checkpoint
from photodouble.training.prior import PRIORS

PEOPLE = ("p001", "p002", "p004", "p005", "p007", "p008", "p010")
REFERENCE = "AI-generated person {} of the package openpeople 0.1.2 (MIT)"
IMAGES, SEED = 4_800, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--people", nargs="+", default=PEOPLE)
    parser.add_argument("--work", type=Path, help="keep faces and training here; what is kept is used again")
    parser.add_argument("--output", type=Path, default=PRIORS / "lite")
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        project = init_project(work / "project")
        for person in options.people:
            add_record(project, person, "synthetic", REFERENCE.format(person.upper()))
            sheet = weights.path(f"person_{person}_emotions")
            told(extract.run(extract.ExtractConfig(project.root, person, [sheet])))
        faces = [project.identity(person) for person in options.people]
        config = pretrain.PretrainConfig(faces, work / "model", project.root, images=options.images, seed=SEED)
        made = told(pretrain.run(config))
        ship(config.output, options.output)
    size = sum(file.stat().st_size for file in options.output.iterdir()) / 1e6
    print(f"{options.output}: {size:.1f} MB, {time.perf_counter() - began:.0f} s, {made['metrics']}")


def told(events: Iterable[Event]) -> dict[str, Any]:
    """Print a stage's progress; its result."""
    values: dict[str, Any] = {}
    for event in events:
        if isinstance(event, Progress):
            print(
                f"\r{event.stage} {event.done:.0f}/{event.total:.0f} {event.unit} {event.text:<60}", end="", flush=True
            )
        elif isinstance(event, Warned):
            print(f"\n{event.message}", flush=True)
        elif isinstance(event, Result):
            values = event.values
    print(flush=True)
    return values


def ship(model: Path, output: Path) -> None:
    """Write the prior in half precision and without what only further training needs."""
    loaded = checkpoint.load_model(model)
    checkpoint.save_model(output, loaded.module.half(), replace(loaded.meta, seconds=0.0, history=[], best={}))


if __name__ == "__main__":
    main()
