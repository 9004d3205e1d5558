"""The disk space that a render takes, asked for before it begins."""

import shutil
from pathlib import Path

from photodouble.errors import BadInput
from photodouble.media import Clip

BYTES = {"h264": 0.12, "hevc": 0.06, "prores": 0.6, "prores4444": 0.8, "ffv1": 1.7, "png": 2.2, "tiff": 3.1}
BYTES |= {"jpeg": 0.9, "exr": 19.0, "dpx": 4.0}
"""Of a pixel in a frame of an ordinary film. `prores` is Apple's data rate for HQ (220 Mbit/s at 1920 x 1080, 29.97
frames a second: 0.44) with room for 4444; H.264 and HEVC are for grainy footage, several times what clean footage
takes. EXR holds the composite and the plate."""

DEEP = 2.2
"""Times as much where a lossless codec holds more than 8 bits."""

MATTE = 0.02


def disk_bytes(clip: Clip, codec: str) -> tuple[int, int, int]:
    """Bytes that a render of a whole clip takes: of the output, of the matte, and of both chunks and output at once.

    The last is what the project's disk must hold until the output is signed: the chunks, and the film they make.
    """
    pixels = clip.estimated_frames * clip.width * clip.height
    deep = DEEP if clip.bit_depth > 8 and codec in ("ffv1", "png", "tiff", "dpx") else 1.0
    output, matte = int(pixels * BYTES[codec] * deep), int(pixels * MATTE)
    return output, matte, 2 * (output + matte)


def check_space(clip: Clip, codec: str, work: Path, output: Path, matte: Path | None, there: int) -> int:
    """Make sure that a render fits on the disks.

    Args:
        work: the render's folder; output, matte: what is to be written. there: bytes of the chunks that exist already.

    Returns:
        Bytes needed on all disks together.

    Raises:
        BadInput: a disk has not that much free.
    """
    film, mattes, both = disk_bytes(clip, codec)
    needs = [(work, max(both - there, 0)), (output.parent, film), *([(matte.parent, mattes)] if matte else [])]
    disks: dict[int, list[tuple[Path, int]]] = {}
    for folder, count in needs:
        disks.setdefault(folder.stat().st_dev, []).append((folder, count))
    for parts in disks.values():
        count, folder = sum(count for _, count in parts), parts[0][0]
        free = shutil.disk_usage(folder).free
        if count > free:
            raise BadInput(
                f"The render needs about {_size(count)} on the disk of {folder}, which has {_size(free)} free: "
                "free some space, or put the project and the output on a larger disk."
            )
    return sum(count for _, count in needs)


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
