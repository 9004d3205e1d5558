"""What the watermark survives: every attack on every clip, marked and unmarked.

    python benchmarks/watermark.py CLIP... [--frames N] [--json FILE] [--pictures N]

For each clip its PSNR, SSIM and cost, and for each attack whether the mark was found, how many of its 32 bits were
right, and how strong it was; the same attacks on the unmarked clip show what is found where nothing is. `--pictures`
reads that many unmarked frames one by one, as they are and as JPEG, and prints the strongest readings.
"""

import argparse
import io
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from photodouble.media import open_clip
from photodouble.provenance.watermark_code import payload_of
from photodouble.provenance.watermark_embed import embed
from photodouble.provenance.watermark_read import SEARCH_TRIALS, WatermarkReading, false_alarms, read_frames

IDENTIFIER = 0x5A17C3
Frames = list[np.ndarray]


def main() -> None:
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--frames", type=int, default=150, help="of each clip, from its beginning")
    parser.add_argument("--pictures", type=int, default=0, help="unmarked frames that are read one by one")
    parser.add_argument("--attacks", nargs="*", default=list(ATTACKS), choices=list(ATTACKS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.pictures:
        pictures(arguments.clips, arguments.pictures)
        return
    rows = []
    for path in arguments.clips:
        row = one_clip(path, arguments.frames, arguments.attacks)
        rows.append(row)
        print_clip(row)
        if arguments.json:
            arguments.json.write_text(json.dumps(rows, indent=1))
    print_table(rows, arguments.attacks)


def one_clip(path: Path, count: int, attacks: Sequence[str]) -> dict:
    """All figures of one clip."""
    clean = [frame.image for frame in open_clip(path).frames(0, count, np.uint8)]
    embed(clean[0], 0, IDENTIFIER)  # the pattern is drawn once for each size
    began = time.process_time()
    marked = [embed(image, k, IDENTIFIER) for k, image in enumerate(clean)]
    cost = (time.process_time() - began) / len(clean) * 1000
    row: dict = {"clip": path.stem, "frames": len(clean), "size": f"{clean[0].shape[1]}x{clean[0].shape[0]}"}
    row |= {"embed_ms": cost, "psnr": psnr(clean, marked), "ssim": ssim(clean, marked)}
    row["bitrate_crf23"] = len(encoded(marked, "libx264", crf(23))) / len(encoded(clean, "libx264", crf(23))) - 1
    row["marked"], row["unmarked"] = {}, {}
    for name in attacks:
        for kind, frames in (("marked", marked), ("unmarked", clean)):
            attacked = ATTACKS[name](frames)
            began = time.process_time()
            found = read_frames(attacked)
            row[kind][name] = figures(found) | {"seconds": round(time.process_time() - began, 2)}
    return row


def figures(found: WatermarkReading) -> dict:
    """A reading as plain values; `bits`: the share of the 32 bits that are right."""
    wrong = (found.payload ^ payload_of(IDENTIFIER)).bit_count()
    return {
        "detected": found.detected,
        "right": found.identifier == IDENTIFIER,
        "bits": 1 - wrong / 32,
        "strength": found.strength,
    }


# Attacks: frames in, frames out.


def crf(value: int) -> dict[str, str]:
    """Options of libx264."""
    return {"crf": str(value), "preset": "veryfast"}


def encoded(frames: Frames, codec: str, options: dict[str, str]) -> bytes:
    """A Matroska file; sides are cut to even numbers."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = (side // 2 * 2 for side in frames[0].shape[:2])
        stream.pix_fmt = "yuv420p"
        for image in frames:
            even = np.ascontiguousarray(image[: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def through(codec: str, options: dict[str, str]) -> Callable[[Frames], Frames]:
    """Encode and decode."""

    def attack(frames: Frames) -> Frames:
        with av.open(io.BytesIO(encoded(frames, codec, options)), "r") as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]

    return attack


X264 = through("libx264", crf(23))


def scaled(x: float, y: float) -> Callable[[Frames], Frames]:
    """Resample, then crf 23."""

    def attack(frames: Frames) -> Frames:
        height, width = frames[0].shape[:2]
        size = round(width * x), round(height * y)
        how = cv2.INTER_AREA if min(x, y) < 1 else cv2.INTER_CUBIC
        return X264([cv2.resize(image, size, interpolation=how) for image in frames])

    return attack


def cropped(share: float) -> Callable[[Frames], Frames]:
    """Cut a share of the width or height off each of the four sides, then crf 23."""

    def attack(frames: Frames) -> Frames:
        y, x = (round(side * share) for side in frames[0].shape[:2])
        return X264([image[y:-y, x:-x] for image in frames])

    return attack


def turned(frames: Frames) -> Frames:
    """Turn by 2 degrees, black corners, then crf 23."""
    height, width = frames[0].shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 2, 1)
    return X264([cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC) for image in frames])


def graded(frames: Frames) -> Frames:
    """A fifth more contrast, 15 levels brighter, then crf 23."""
    return X264([cv2.convertScaleAbs(image, alpha=1.2, beta=-10) for image in frames])


def jpeg(frames: Frames) -> Frames:
    """One frame, as JPEG of quality 75."""
    _, data = cv2.imencode(".jpg", frames[len(frames) // 2][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return [np.ascontiguousarray(decoded[..., ::-1])]


def recorded(frames: Frames) -> Frames:
    """As a screen is recorded: shown at 1.3 times its size, blurred, noisy, at 0.9 times its size, crf 23."""
    height, width = frames[0].shape[:2]
    random = np.random.default_rng(0)
    seen = []
    for image in frames:
        shown = cv2.resize(image, (round(width * 1.3), round(height * 1.3)), interpolation=cv2.INTER_LINEAR)
        blurred = cv2.GaussianBlur(shown, (0, 0), 1.0)
        noisy = blurred + np.asarray(random.normal(0, 4, blurred.shape), np.float32)
        small = cv2.resize(noisy, (round(width * 0.9), round(height * 0.9)), interpolation=cv2.INTER_LINEAR)
        seen.append(np.clip(np.rint(small), 0, 255).astype(np.uint8))
    return X264(seen)


ATTACKS: dict[str, Callable[[Frames], Frames]] = {
    "crf 18": through("libx264", crf(18)),
    "crf 23": X264,
    "crf 28": through("libx264", crf(28)),
    "crf 33": through("libx264", crf(33)),
    "twice": lambda frames: through("libx264", crf(26))(X264(frames)),
    "x0.5": scaled(0.5, 0.5),
    "x0.75": scaled(0.75, 0.75),
    "crop 3 %": cropped(0.03),
    "crop 10 %": cropped(0.1),
    "aspect 1.1": scaled(1.1, 1.0),
    "turn 2": turned,
    "graded": graded,
    "one JPEG": jpeg,
    "HEVC 28": through("libx265", {"crf": "28", "preset": "veryfast", "x265-params": "log-level=error"}),
    "VP9 33": through("libvpx-vp9", {"crf": "33", "b": "0", "deadline": "realtime", "cpu-used": "8"}),
    "screen": recorded,
}


# What it looks like.


def psnr(clean: Frames, marked: Frames) -> float:
    """dB over all frames and channels."""
    errors = [np.mean(np.square(np.subtract(a, b, dtype=np.float32))) for a, b in zip(clean, marked, strict=True)]
    return float(10 * np.log10(255**2 / np.mean(errors)))


def ssim(clean: Frames, marked: Frames) -> float:
    """Mean SSIM of luma, of every tenth frame (Wang et al. 2004: Gaussian window of 1.5 pixels)."""

    def blur(field: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(field, (11, 11), 1.5)

    values = []
    for one, other in zip(clean[::10], marked[::10], strict=True):
        a, b = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) for image in (one, other))
        mean_a, mean_b = blur(a), blur(b)
        spread_a, spread_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
        both = blur(a * b) - mean_a * mean_b
        low, high = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        top = (2 * mean_a * mean_b + low) * (2 * both + high)
        values.append(float(np.mean(top / ((mean_a**2 + mean_b**2 + low) * (spread_a + spread_b + high)))))
    return float(np.mean(values))


# Tables.


def print_clip(row: dict) -> None:
    """One line for the clip, one for each attack."""
    print(
        f"\n{row['clip']} {row['size']}, {row['frames']} frames: PSNR {row['psnr']:.1f} dB, SSIM {row['ssim']:.4f}, "
        f"{row['embed_ms']:.1f} ms a frame, bitrate at crf 23 {row['bitrate_crf23']:+.0%}"
    )
    for name, value in row["marked"].items():
        other = row["unmarked"][name]
        print(
            f"  {name:12}{'found' if value['right'] else 'WRONG' if value['detected'] else '-':6}"
            f"{value['bits']:5.0%} of bits  {value['strength']:5.1f} in {value['seconds']:.2f} s   "
            f"unmarked {'FOUND' if other['detected'] else '-'} {other['strength']:4.1f} in {other['seconds']:.2f} s",
            flush=True,
        )


def print_table(rows: list[dict], attacks: Sequence[str]) -> None:
    """All clips as Markdown: the strength where the mark was found, in brackets the right bits where it was not."""
    print("\n| clip | PSNR | SSIM | bitrate | " + " | ".join(attacks) + " |")
    print("|---" * (len(attacks) + 4) + "|")
    for row in rows:
        cells = [
            f"{value['strength']:.0f}" if value["right"] else f"({value['bits']:.0%})"
            for value in (row["marked"][name] for name in attacks)
        ]
        look = f"{row['psnr']:.1f} | {row['ssim']:.3f} | {row['bitrate_crf23']:+.0%}"
        print(f"| {row['clip']} {row['size']} | {look} | {' | '.join(cells)} |")
    readings = [value for row in rows for value in row["unmarked"].values()]
    false = sum(value["detected"] for value in readings)
    strongest = max(value["strength"] for value in readings)
    print(f"\nUnmarked: {false} of {len(readings)} readings found a mark; the strongest was {strongest:.1f}.")


def pictures(clips: Sequence[Path], most: int) -> None:
    """Read unmarked frames one by one, each as it is and as JPEG, and print how strong the strongest were."""
    strengths: list[float] = []
    found = 0
    each = -(-most // len(clips) // 2)
    for path in clips:
        clip = open_clip(path)
        step = max(1, clip.estimated_frames // each)
        for frame in clip.frames(dtype=np.uint8):
            if frame.index % step == 0:
                for image in (frame.image, jpeg([frame.image])[0]):
                    reading = read_frames([image])
                    strengths.append(reading.strength)
                    found += reading.detected
        print(
            f"{path.stem}: {len(strengths)} pictures so far, {found} false, strongest {max(strengths):.2f}", flush=True
        )
    spread = np.std(strengths)
    print(
        f"mean {np.mean(strengths):.2f}, standard deviation {spread:.2f}, the five strongest {sorted(strengths)[-5:]}"
    )
    print(f"expected false marks at 9.4: {false_alarms(9.4, SEARCH_TRIALS):.1e} a search")


if __name__ == "__main__":
    main()
