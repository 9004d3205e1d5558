"""The policy gate: no nudity in plates or sources. It fails closed: what cannot be checked is refused.

The judge is Yahoo's open_nsfw (BSD-2-Clause, https://github.com/yahoo/open_nsfw), one score for a whole picture.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnxruntime

from photodouble import weights
from photodouble.errors import PhotodoubleError, Refused
from photodouble.media import Frame

if TYPE_CHECKING:
    from photodouble.media import Clip

# The model's authors advise to take scores above 0.8 as "not safe" and below 0.2 as "safe". Single frames of clean
# footage do pass 0.8 (up to 0.95, a turning head behind a hand), but not for half a second on end: a refusal therefore
# needs a mean of 0.8 over what follows. `benchmarks/gate.py` measures it, docs/CONSENT.md has the figures.
THRESHOLD = 0.8
EVERY_SECONDS = 0.4  # so that a scene of one second has a look and, still inside, the half second that confirms it
CONFIRM_SECONDS, CONFIRM_EVERY = Fraction(1, 2), Fraction(1, 10)
_MEAN_BGR = np.array([104.0, 117.0, 123.0], np.float32)  # of the data that the model was trained on
_SIDE, _CROP = 256, 224
_LINEAR = 8  # H.273: linear light


class NudityGate:
    """The loaded model. One of it serves any number of clips.

    Raises:
        Refused: the model cannot be had or loaded: nothing is let through unchecked.
    """

    def __init__(self) -> None:
        try:
            path = weights.path("open_nsfw")
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1  # extraction has threads of its own; idle ones would only spin
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            self._input = self._session.get_inputs()[0].name
        except Exception as error:  # whatever it is: fail closed
            raise Refused(f"The footage cannot be checked for nudity, so it is refused: {_sentence(error)}") from error

    def score(self, rgb: np.ndarray) -> float:
        """How likely the picture (H x W x 3, RGB, uint8) shows nudity, 0..1.

        Raises:
            Refused: the picture cannot be scored.
        """
        try:
            if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
                raise ValueError(f"expected H x W x 3 uint8, not {rgb.shape} {rgb.dtype}")
            output = self._session.run(None, {self._input: _prepare(rgb)[None]})[0]
            value = float(np.asarray(output)[0, 1])
            if not 0.0 <= value <= 1.0:  # also: not a number
                raise ValueError(f"the score is {value}")
        except Exception as error:  # whatever it is: fail closed
            raise Refused(f"A picture cannot be checked for nudity, so it is refused: {_sentence(error)}") from error
        return value


@dataclass
class ClipGate:
    """Checks a clip while something else decodes it: `see` every frame, then `close`.

    A frame is scored at least every `every_seconds` of clip time. One that reaches the threshold raises suspicion: then
    a frame every tenth of a second is scored for half a second, and their mean decides. If it clears them, the half
    second from the next frame that reached the threshold is taken, and so on. With `every_seconds` 0 (a folder of
    stills) every picture is scored and decides alone.

    Attributes:
        gate: the loaded model.
        name: what the refusal calls the clip, its path.
        highest: the highest score of a single frame so far.
        scored: how many frames were scored.
    """

    gate: NudityGate
    name: str
    every_seconds: float = EVERY_SECONDS
    threshold: float = THRESHOLD
    highest: float = 0.0
    scored: int = 0
    _last: Fraction | None = field(default=None, repr=False)
    _before: Fraction | None = field(default=None, repr=False)
    _passed: Frame | None = field(default=None, repr=False)
    _suspects: list[tuple[Fraction, int, float]] = field(default_factory=list, repr=False)

    def see(self, frame: Frame) -> None:
        """Look at the next frame.

        Raises:
            Refused: nudity was seen, or the frame cannot be scored.
        """
        time = frame.pts * frame.time_base
        goes_on = self._before is not None and time > self._before
        if goes_on and self._passed is not None and self._last is not None and time > self._last + self._every():
            self._look(self._passed)  # this one came later than expected: the one before it stood all that time
        if not goes_on:
            self._decide()
            self._suspects.clear()
        while self._suspects and time > self._suspects[0][0] + CONFIRM_SECONDS:
            self._decide()
        due = not goes_on or self._is_due(time)
        self._passed = None if due else frame
        if due:
            self._look(frame)
        self._before = time

    def _look(self, frame: Frame) -> None:
        time = frame.pts * frame.time_base
        self._last, self._passed = time, None
        self.scored += 1
        score = self.gate.score(_eight_bit(frame))
        self.highest = max(self.highest, score)
        if self._suspects or score >= self.threshold:
            self._suspects.append((time, frame.index, score))
        if not self.every_seconds:
            self._decide()

    def close(self) -> float:
        """The highest score of the clip.

        Raises:
            Refused: nudity was seen at the clip's end, or no frame was seen at all, so nothing was checked.
        """
        self._decide()
        if not self.scored:
            raise Refused(f"{self.name} has no frame that can be checked for nudity, so it is refused.")
        return self.highest

    def _is_due(self, time: Fraction) -> bool:
        """Whether to score this frame because the next one, a frame's time later, would be too late."""
        if self._last is None or self._before is None:
            return True
        return time + (time - self._before) > self._last + self._every()

    def _every(self) -> Fraction:
        return CONFIRM_EVERY if self._suspects and self.every_seconds else Fraction(self.every_seconds)

    def _decide(self) -> None:
        """Refuse, or clear the first suspect; the next one that reached the threshold stays, with what follows it."""
        if not self._suspects:
            return
        scores = [score for time, _, score in self._suspects if time <= self._suspects[0][0] + CONFIRM_SECONDS]
        if sum(scores) >= self.threshold * len(scores):
            time, index, _ = self._suspects[0]
            raise _refusal(
                f"{self.name} at {float(time):.2f} s ({_time_code(time)}, frame {index})", max(scores), self.threshold
            )
        del self._suspects[0]
        while self._suspects and self._suspects[0][2] < self.threshold:
            del self._suspects[0]


def check_clip(
    clip: "Clip",
    gate: NudityGate,
    every_seconds: float = EVERY_SECONDS,
    threshold: float = THRESHOLD,
) -> float:
    """Decode the whole clip and check it; pictures in a folder are checked one and all. Returns the highest score.

    A stage that decodes anyway feeds a `ClipGate` instead.

    Raises:
        Refused: with what was seen and where, or because a frame cannot be decoded or scored.
    """
    seen = ClipGate(gate, str(clip.path), 0.0 if clip.kind == "pictures" else every_seconds, threshold)
    try:
        for frame in clip.frames(dtype=np.uint8):
            seen.see(frame)
    except Refused:
        raise
    except Exception as error:  # whatever it is: fail closed
        raise Refused(f"{clip.path} cannot be checked for nudity, so it is refused: {_sentence(error)}") from error
    return seen.close()


def check_picture(image: np.ndarray, name: str, gate: NudityGate, threshold: float = THRESHOLD) -> float:
    """Check one still picture (H x W x 3 RGB; uint8, uint16 or float32) and return its score.

    Raises:
        Refused: it shows nudity, or cannot be scored.
    """
    score = gate.score(_eight_bit(Frame(image, 0, 0, Fraction(1))))
    if score >= threshold:
        raise _refusal(name, score, threshold)
    return score


def _refusal(where: str, score: float, threshold: float) -> Refused:
    return Refused(
        f"{where} appears to show nudity (score {score:.2f}, the limit is {threshold:.2f}): "
        "photodouble does not work on such footage, use other footage."
    )


def _time_code(time: Fraction) -> str:
    """Hours, minutes, seconds and thousandths: what a player shows."""
    thousandths = int(max(time, Fraction(0)) * 1000)
    minutes, seconds = divmod(thousandths // 1000, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}.{thousandths % 1000:03d}"


def _eight_bit(frame: Frame) -> np.ndarray:
    image = frame.image
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    value = np.clip(np.nan_to_num(image.astype(np.float32)), 0.0, 1.0)
    if frame.colour.transfer == _LINEAR:
        value = np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)  # IEC 61966-2-1
    return np.rint(value * 255.0).astype(np.uint8)


def _prepare(rgb: np.ndarray) -> np.ndarray:
    """224 x 224 x 3 float32 BGR less its mean: the way of the model's own `classify_nsfw.py`.

    The picture is squeezed to 256 x 256 and its middle is taken. A JPEG lies in between because the model was trained
    on JPEGs and scores pictures without their artefacts differently.
    """
    shrinks = rgb.shape[0] > _SIDE or rgb.shape[1] > _SIDE
    small = cv2.resize(rgb, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    _, jpeg = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    bgr = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError("the reduced picture cannot be read back")
    edge = (_SIDE - _CROP) // 2
    return bgr[edge : edge + _CROP, edge : edge + _CROP].astype(np.float32) - _MEAN_BGR


def _sentence(error: Exception) -> str:
    text = str(error).strip().split("\n")[0] or type(error).__name__
    return text if isinstance(error, PhotodoubleError) or text.endswith(".") else f"{text}."
