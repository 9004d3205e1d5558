"""Reading the watermark, without the original: is it there, and which identifier does it hold?"""

import itertools
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from photodouble.errors import BadInput
from photodouble.media import Clip
from photodouble.provenance.watermark_code import BITS, identifier_of
from photodouble.provenance.watermark_search import Placing, read_placed, refine, search
from photodouble.provenance.watermark_signal import BLOCK, Word, blocks_of, read, residuals

STRIDE = 2
"""Of a clip's frames every second is looked at."""

EARLY = 12
"""Blocks after which a clip is tried as it is: most marks show by then, and the rest need not be decoded."""

WINDOW = 320
"""Frames that are looked at together."""

WINDOWS = 3
"""Places in a long clip at which it is looked at, until the mark is found."""

SIZES = (144, 288, 480)
"""Shorter sides that a marked frame may have had, as far as the choice of carriers goes."""

NOTABLE, CANDIDATES = 4.5, 3
"""How far a placing must stand out in the coarse search to be looked at, and how many are."""

PLAIN_TRIALS, SEARCH_TRIALS = 1e2, 1e7
"""Ways in which a mark is looked for in a picture taken as it is, and in a search: more than there are."""

FALSE_ALARMS = 1e-6
"""Expected number of marks found in an unmarked clip or picture at which one is believed."""


@dataclass(frozen=True)
class WatermarkReading:
    """What was found.

    Attributes:
        detected: whether a mark of ours is there.
        identifier: its 24 bits; None if not detected.
        payload: the most probable 32 bits, believed or not: what a benchmark counts right bits in.
        confidence: 0 to 1: 1 less the number of such marks that chance alone would be expected to show.
        strength: of the strongest reading, in standard deviations of what one given mark shows in unmarked pictures.
        frames: how many frames or pictures were looked at.
        placing: where the picture lies in the frame that was marked; None if not detected.
    """

    detected: bool
    identifier: int | None
    payload: int
    confidence: float
    strength: float
    frames: int
    placing: Placing | None = None


def read_watermark(clip: Clip) -> WatermarkReading:
    """Look for the mark in a video, in a folder of pictures in their order, or in a single picture.

    Raises:
        BadInput: no frame of it can be read.
    """
    total = clip.estimated_frames
    places = WINDOWS if total > 2 * WINDOW else 1
    best = WatermarkReading(False, None, 0, 0.0, 0.0, 0)
    for k in range(places):
        start = (total - WINDOW) * k // max(places - 1, 1) if places > 1 else 0
        found = read_frames(_readable(clip, start, start + WINDOW))
        best = found if found.detected or found.strength > best.strength else best
        if best.detected:
            break
    if not best.frames:
        next(clip.frames())  # says what is wrong with it
    return best


def read_frames(images: Iterable[np.ndarray]) -> WatermarkReading:
    """Look for the mark in consecutive frames of one size (H x W x 3 RGB or one channel), or in a single picture."""
    images = iter(images)
    aspect, seen = 1.0, 0

    def looked_at() -> Iterator[np.ndarray]:
        nonlocal aspect, seen
        for image in itertools.islice(images, 0, None, STRIDE):
            aspect, seen = image.shape[1] / image.shape[0], seen + 1
            yield image

    blocks: list[np.ndarray] = []
    best = Word(0, 0.0, 0.0)
    for block in blocks_of(looked_at(), BLOCK // STRIDE):
        blocks.append(block)
        if len(blocks) == EARLY:
            best = _as_it_is(residuals(np.stack(blocks)))
            if _found(best, PLAIN_TRIALS):
                return _reading(best, PLAIN_TRIALS, seen, Placing())
    if not blocks:
        return _reading(best, PLAIN_TRIALS, 0, None)
    fields = residuals(np.stack(blocks))
    best = max(best, _as_it_is(fields), key=_strength)
    if _found(best, PLAIN_TRIALS):
        return _reading(best, PLAIN_TRIALS, seen, Placing())
    where: Placing | None = None
    for candidate in search(fields, aspect, CANDIDATES):
        if candidate.height < NOTABLE:
            break
        field = fields[candidate.phase]
        coarse = refine(field, candidate.placing, aspect, SIZES[0])
        word, size = max(((read_placed(field, coarse, aspect, size), size) for size in SIZES), key=_first_strength)
        fine = refine(field, coarse, aspect, size)
        word = max(word, read_placed(field, fine, aspect, size), key=_strength)
        if word.whole > best.whole:
            best, where = word, fine
        if _found(word, SEARCH_TRIALS):
            break
    return _reading(best, SEARCH_TRIALS, seen, where)


def false_alarms(strength: float, trials: float) -> float:
    """Expected number of valid marks of at least this strength that `trials` looks at pure noise show: a union bound.

    Each of the 2^24 identifiers is one given mark, whose sum over many carriers is close to normal.
    """
    return trials * 2**BITS * math.erfc(strength / math.sqrt(2))


def _as_it_is(fields: np.ndarray) -> Word:
    """The strongest reading of fields whose sides are the marked frame's."""
    return max((read(field, size) for field in fields for size in SIZES), key=_strength)


def _found(word: Word, trials: float) -> bool:
    return identifier_of(word.payload) is not None and false_alarms(word.whole, trials) <= FALSE_ALARMS


def _reading(word: Word, trials: float, frames: int, placing: Placing | None) -> WatermarkReading:
    detected = _found(word, trials)
    valid = identifier_of(word.payload)
    confidence = max(0.0, 1 - false_alarms(word.whole, trials)) if valid is not None else 0.0
    return WatermarkReading(
        detected,
        valid if detected else None,
        word.payload,
        round(confidence, 6),
        round(word.whole, 2),
        frames,
        placing if detected else None,
    )


def _strength(word: Word) -> float:
    return word.whole


def _first_strength(item: tuple[Word, int]) -> float:
    return item[0].whole


def _readable(clip: Clip, start: int, stop: int) -> Iterator[np.ndarray]:
    """The frames of a part of a clip up to where it is damaged."""
    with suppress(BadInput):
        for frame in clip.frames(start, stop, np.uint8):
            yield frame.image
