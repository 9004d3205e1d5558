from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photodouble.consent.policy import ClipGate, NudityGate, check_clip, check_picture
from photodouble.errors import Refused
from photodouble.media import Frame, open_clip, read_picture

RATE = 24


class Remembering(NudityGate):
    """The real gate; asked again about the very same picture it answers from memory, which is all that is quicker."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[int, tuple[np.ndarray, float]] = {}

    def score(self, rgb: np.ndarray) -> float:
        if id(rgb) not in self._known:
            self._known[id(rgb)] = (rgb, super().score(rgb))  # kept, so that no other picture gets its id
        return self._known[id(rgb)][1]


@pytest.fixture(scope="module")
def gate() -> NudityGate:
    return Remembering()


@pytest.fixture(scope="module")
def pictures(portraits: list[Path], gate: NudityGate) -> tuple[np.ndarray, np.ndarray, float]:
    """Two clean pictures that the model tells apart, and a limit between their scores.

    They stand for what is refused and what is not: a lower limit tries the same code as the real one does, without
    pictures that nobody wants in a repository.
    """
    low = read_picture(portraits[0])[::4, ::4, :3].copy()
    high = np.full((90, 120, 3), 128, np.uint8)
    scores = gate.score(high), gate.score(low)
    assert scores[0] > 1.5 * scores[1]
    return high, low, sum(scores) / 2


def test_clean_portraits_pass_and_scores_do_not_depend_on_size_or_depth(
    gate: NudityGate, portraits: list[Path]
) -> None:
    for path in portraits:
        image = read_picture(path)[..., :3]
        score = check_picture(image, str(path), gate)
        assert 0 <= score < 0.3
        assert gate.score(image[::2, ::2].copy()) == pytest.approx(score, abs=0.1)
        assert check_picture(image.astype(np.uint16) * 257, "p", gate) == pytest.approx(score, abs=1e-6)
        assert check_picture(image.astype(np.float32) / 255, "p", gate) == pytest.approx(score, abs=1e-6)


def test_a_still_picture_over_the_limit_is_refused_by_name(
    gate: NudityGate, pictures: tuple[np.ndarray, np.ndarray, float]
) -> None:
    high, low, limit = pictures
    check_picture(low, "still.png", gate, limit)
    with pytest.raises(Refused, match=r"still\.png appears to show nudity \(score 0\.\d\d, the limit is 0\.\d\d\)"):
        check_picture(high, "still.png", gate, limit)


def _watch(gate: NudityGate, shown: list[np.ndarray], limit: float, every: float = 0.5) -> ClipGate:
    watching = ClipGate(gate, "clip.mp4", every, limit)
    for index, image in enumerate(shown):
        watching.see(Frame(image, index, index, Fraction(1, RATE)))
    watching.close()
    return watching


@pytest.mark.parametrize("start", [0, 1, 7, 11, 12, 13, 35, 48])
def test_a_scene_of_one_second_is_not_missed(
    gate: NudityGate, pictures: tuple[np.ndarray, np.ndarray, float], start: int
) -> None:
    high, low, limit = pictures
    shown = [high if start <= index < start + RATE else low for index in range(3 * RATE)]
    with pytest.raises(
        Refused, match=r"clip\.mp4 at \d\.\d\d s \(00:00:0\d\.\d{3}, frame \d+\) appears to show nudity"
    ):
        _watch(gate, shown, limit)


class Painted(NudityGate):
    """A scorer that reads its score off the picture: what is tested with it is where and how often it is asked."""

    def __init__(self) -> None:
        pass

    def score(self, rgb: np.ndarray) -> float:
        return float(rgb[0, 0, 0]) / 255


def painted(scores: list[float]) -> list[np.ndarray]:
    known = {score: np.full((1, 1, 3), round(score * 255), np.uint8) for score in set(scores)}
    return [known[score] for score in scores]


def refuses(scores: list[float], times: list[Fraction], chunk: int) -> bool:
    """Whether the gate, begun anew with each chunk of frames as `extract` does, refuses the clip."""
    frames = [
        Frame(image, index, int(time * 60_000), Fraction(1, 60_000))
        for index, (image, time) in enumerate(zip(painted(scores), times, strict=True))
    ]
    try:
        for start in range(0, len(frames), chunk):
            watching = ClipGate(Painted(), "clip.mp4")
            for frame in frames[start : start + chunk]:
                watching.see(frame)
            watching.close()
    except Refused:
        return True
    return False


@pytest.mark.parametrize("chunk", [256, 40])
@pytest.mark.parametrize("rate", [5, 12, 24, 25, Fraction(30_000, 1001), 60])
def test_a_scene_of_one_second_is_found_wherever_it_begins(rate: Fraction, chunk: int) -> None:
    """Of just over the limit, between frames of no suspicion at all."""
    times = [index / Fraction(rate) for index in range(int(3 * rate))]
    assert not refuses([0.0] * len(times), times, chunk)
    for begin in times[: int(2 * rate) : 2 if rate == 60 else 1]:
        scores = [0.81 if begin <= time < begin + 1 else 0.0 for time in times]
        assert refuses(scores, times, chunk), float(begin)


@settings(max_examples=100)
@given(data=st.data())
def test_neither_odd_frames_before_it_nor_a_changing_rate_hide_it(data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.sampled_from([1, 2, 3, 5, 12, 30, 72]), min_size=20, max_size=120))  # in 1/60 s
    times = [Fraction(sum(gaps[:number]), 60) for number in range(len(gaps))]
    begin = data.draw(st.sampled_from([time for time in times if time + 1 <= times[-1]] or [times[0]]))
    if begin + 1 > times[-1]:
        return
    odd = data.draw(st.sets(st.sampled_from(times), max_size=4))
    scores = [0.81 if begin <= time < begin + 1 or (time in odd and time < begin) else 0.0 for time in times]
    assert refuses(scores, times, 10_000)


def test_a_passing_frame_is_no_scene_and_few_frames_are_scored(
    gate: NudityGate, pictures: tuple[np.ndarray, np.ndarray, float]
) -> None:
    high, low, limit = pictures
    shown = [low] * (3 * RATE)
    assert _watch(gate, shown, limit).scored <= 9
    shown[12] = shown[13] = high
    watched = _watch(gate, shown, limit)
    assert watched.highest > limit  # it was looked at
    assert watched.scored <= 17


def test_a_scene_at_the_very_end_and_every_single_still_are_refused(
    gate: NudityGate, pictures: tuple[np.ndarray, np.ndarray, float]
) -> None:
    high, low, limit = pictures
    with pytest.raises(Refused):
        _watch(gate, [low] * 11 + [high] * 8, limit)
    with pytest.raises(Refused, match="frame 3"):
        _watch(gate, [low, low, low, high, low], limit, every=0)


def test_a_clip_is_checked(gate: NudityGate, small_plate: Path) -> None:
    clip = open_clip(small_plate)
    assert 0 < check_clip(clip, gate) < 0.8
    with pytest.raises(Refused, match=r"plate\.mp4 at 0\.00 s \(00:00:00\.000, frame 0\)"):
        check_clip(clip, gate, threshold=0.0)


def test_what_cannot_be_checked_is_refused(
    gate: NudityGate, make_plate: Callable[..., Path], portraits: list[Path], tmp_path: Path
) -> None:
    for image in (np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float64)):
        with pytest.raises(Refused, match="cannot be checked"):
            gate.score(image)
    with pytest.raises(Refused, match="no frame"):
        ClipGate(gate, "clip.mp4").close()
    plate = make_plate(tmp_path / "gone.mp4", portraits[0], frames=4, sound=False)
    clip = open_clip(plate)
    plate.unlink()
    with pytest.raises(Refused, match=r"gone\.mp4 cannot be checked for nudity"):
        check_clip(clip, gate)


def test_without_the_model_nothing_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTODOUBLE_CACHE", str(tmp_path))
    monkeypatch.delenv("PHOTODOUBLE_WEIGHTS", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(Refused, match="cannot be checked for nudity, so it is refused"):
        NudityGate()
