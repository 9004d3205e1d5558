"""Convert's speed against plain decoding and encoding of the same plate with the same settings.

MODEL is a model's folder inside a project, like my-film/models/lite. The plate (scaled by --size if asked to, at most
--frames frames) is extracted first, which is not counted; everything that `convert` does is, loading the model and
looking for hands included. Plain is run before and after convert; the figures are of both together, by the clock and by
processor time: the latter hardly depends on who else uses the machine.
"""

import argparse
import contextlib
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from photodouble.consent import add_record
from photodouble.faces import FaceSet
from photodouble.faces.topology import OVAL
from photodouble.media import Clip, ClipWriter, open_clip
from photodouble.media.codecs import pixel_format
from photodouble.media.frame import Colour
from photodouble.media.video import stored_frames
from photodouble.media.writer import open_output, stream_tags, video_stream
from photodouble.project import Project, init_project
from photodouble.stages import convert, extract
from photodouble.stages.events import Progress, Result
from photodouble.training.model_json import load_meta


@dataclass
class Spent:
    """Seconds by the clock and of processor time, this process' and its children's."""

    wall: float = 0.0
    cpu: float = 0.0


@contextlib.contextmanager
def measured(into: Spent) -> Iterator[None]:
    """Add what the block takes."""
    wall, cpu = time.perf_counter(), processor()
    yield
    into.wall += time.perf_counter() - wall
    into.cpu += processor() - cpu


def processor() -> float:
    """Processor seconds so far."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plate", type=Path)
    parser.add_argument("model", type=Path, help="a model's folder inside a project")
    parser.add_argument("--size", default=None, metavar="WxH", help="scale the plate to this size first")
    parser.add_argument("--frames", type=int, default=240, help="at most this many frames (default: 240)")
    parser.add_argument("--to", default=None, metavar="NAME", help="identity to draw (default: the model's first)")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        project, target = borrowed(options.model, options.to, Path(folder) / "project")
        plate = shortened(options.plate, options.size, options.frames, Path(folder) / "plate.mp4")
        list(extract.run(extract.ExtractConfig(project.root, "plate", [plate])))
        wide = face_width(project)
        plain, swapped, hands = Spent(), Spent(), 0.0
        clip = open_clip(plate)
        config = convert.ConvertConfig(
            project.root, plate, "plate", target, Path(folder) / "out.mp4", options.model.name, jobs=options.jobs
        )
        with measured(plain):
            recode(clip, Path(folder) / "plain.mp4")
        began = processor()
        with measured(swapped):
            for event in convert.run(config):
                if isinstance(event, Progress) and event.text:
                    hands = processor() - began
                elif isinstance(event, Result):
                    frames, drawn = event.values["frames"], event.values["faces_drawn"]
        with measured(plain):
            recode(clip, Path(folder) / "plain.mp4")
        plain = Spent(plain.wall / 2, plain.cpu / 2)
    print(
        f"{clip.width}x{clip.height}, {frames} frames, {drawn} with a face, {wide:.0f} pixels wide (median), "
        f"{options.model.name}, jobs {options.jobs}"
    )
    print(f"{'':14}{'frames/s':>9}{'ms/frame':>10}{'CPU ms/frame':>14}")
    for name, spent in (("plain", plain), ("convert", swapped)):
        print(f"{name:14}{frames / spent.wall:9.1f}{1000 * spent.wall / frames:10.1f}{1000 * spent.cpu / frames:14.1f}")
    print(f"until the first frame is drawn (model, plan, hands): {1000 * hands / frames:.1f} CPU ms/frame")
    print(
        f"convert takes {swapped.wall / plain.wall:.2f} times plain by the clock, "
        f"{swapped.cpu / plain.cpu:.2f} by processor time"
    )


def borrowed(model: Path, to: str | None, root: Path) -> tuple[Project, str]:
    """A project with a copy of the model and of its people; and the wanted person's name."""
    theirs, project = Project(model.resolve().parent.parent), init_project(root)
    meta = load_meta(model)
    target = to or meta.identities[0]
    for name in {target, *meta.consent}:  # everybody whom it was trained on must consent still
        shutil.copytree(theirs.identity(name), project.identity(name))
    shutil.copytree(model, project.model(model.name))
    add_record(project, "plate", "synthetic", "a benchmark: nothing of it is kept")
    return project, target


def face_width(project: Project) -> float:
    """Median width, in pixels, of the plate's faces: from one edge of the outline to the other."""
    faces = FaceSet.open(project.faces("plate"))
    widths = [np.ptp(faces.landmarks(row, row + 1)[0, list(OVAL), 0]) for row in range(len(faces))]
    return float(np.median(widths)) if widths else 0.0


def shortened(plate: Path, size: str | None, frames: int, path: Path) -> Path:
    """The plate's first frames as H.264, of another size if asked."""
    clip = open_clip(plate)
    width, height = map(int, size.split("x")) if size else (clip.width, clip.height)
    like: Clip = replace(clip, width=width // 2 * 2, height=height // 2 * 2)
    with ClipWriter(path, like, "h264", copy_streams=False) as writer:
        for frame in clip.frames(0, frames):
            image = cv2.resize(frame.image, (like.width, like.height), interpolation=cv2.INTER_CUBIC)
            writer.write(replace(frame, image=image))
    return path


def recode(clip: Clip, path: Path) -> None:
    """Decode and encode, nothing else."""
    with contextlib.closing(open_output(path, clip)) as container:
        stream = video_stream(container, clip, "h264", pixel_format("h264", clip))
        tags = Colour(*stream_tags(stream))
        for stored in stored_frames(clip):
            container.mux(stream.encode(stored.copied("yuv420p", tags)))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
