"""A few frames of a render, soon: to look at settings of compositing."""

import time
from collections.abc import Iterator
from pathlib import Path

from photodouble.errors import BadInput
from photodouble.files import atomic, remove
from photodouble.media import CODECS
from photodouble.media.picture_output import check_folder, picture_name, write_frame
from photodouble.provenance import finish, manifest_digest, publish
from photodouble.stages.convert_draw import Drawing, finished, one_thread_each
from photodouble.stages.convert_plan import make_plan
from photodouble.stages.convert_ready import ConvertConfig, check_output, mark, prepare, told
from photodouble.stages.convert_survey import STAGE
from photodouble.stages.events import Event, Preview, Progress, Result, Started


def run(config: ConvertConfig) -> Iterator[Event]:
    """Render the frames `config.frames` into the folder `config.output`, as PNG pictures, each of them marked.

    What the whole shot must be known for is looked up where an earlier preview or render left it.
    The result holds preview (the folder), pictures (their names), model, settings (those that are not the usual ones),
    frames, faces_drawn and seconds.

    Raises:
        Refused: consent is missing. BadInput: as `convert.run`, or no frames are named.
    """
    began = time.monotonic()
    if not config.frames:
        raise BadInput("There are no frames to preview: name some, like --frames 100,250-260.")
    check_output(config.output, config.plate)
    ready = yield from prepare(config)
    clip = ready.clip
    folder = Path(config.output)
    check_folder(folder, clip, CODECS["png"].suffixes)
    plan = yield from make_plan(
        ready.project, config.plate, config.source, config.target, ready.wanted, clip, config.covers
    )
    drawing = Drawing(clip, plan, ready.generator, config.settings, None, ready.watermark, ready.label(config, plan))
    total = sum(map(len, ready.ranges or ()))
    yield Started(STAGE, {"frames": total, "model": config.model})
    unsigned = ready.project.plate(clip.path) / "preview"
    names: list[str] = []
    drawn = 0
    try:
        with one_thread_each(), atomic(unsigned) as part:
            part.mkdir()
            for some in ready.ranges or ():
                for done in finished(drawing, some.start, some.stop, max(some.stop, 1)):
                    names.append(picture_name(clip, done.frame.index, ".png"))
                    write_frame(part / names[-1], unsigned / names[-1], done.frame, clip)
                    drawn += done.drawn
                    yield Progress(STAGE, len(names), total, "frames")
        if not names:
            raise BadInput(f"{config.plate} has none of the frames {config.frames}: name others.")
        finish(unsigned, folder, mark(ready, config, folder), ready.signer)
        publish(ready.watermark, folder, manifest_digest(folder), ready.ledgers)
    finally:
        remove(unsigned)
    yield Preview(STAGE, folder)
    yield Result(
        STAGE,
        {
            "preview": str(folder),
            "pictures": names,
            "model": config.model,
            "settings": told(config),
            "frames": len(names),
            "faces_drawn": drawn,
            "seconds": time.monotonic() - began,
        },
    )
