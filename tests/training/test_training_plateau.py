"""The stop rule on curves whose end is known, with a clock that is none."""

import math

import numpy as np
import pytest

from photodouble.training.plateau import SOONEST, TAIL, forecast

BUDGET = 3600.0
EVERY = 20.0
TIMES = np.arange(1, int(BUDGET / EVERY) + 1) * EVERY

CURVES = {
    **{f"saturates in {minutes} min": lambda t, m=minutes: 0.9 - 0.5 * np.exp(-t / 60 / m) for minutes in (1, 4, 12)},
    "logarithm": lambda t: 0.5 + 0.05 * np.log1p(t / 60),
    "slow logarithm": lambda t: 0.7 + 0.01 * np.log1p(t / 60),
    "late riser": lambda t: 0.5 + 0.3 / (1 + np.exp((1500 - t) / 240)),
    "first flat, then up": lambda t: 0.5 + 0.4 * (1 - np.exp(-np.maximum(0, t - 660) / 600)),
    "two steps": lambda t: 0.6 + 0.1 * (1 - np.exp(-t / 60)) + 0.15 * (1 - np.exp(-t / 1500)),
    "one figure": lambda t: np.full_like(t, 0.8),
}
NOISE = (0.0, 0.001, 0.004)


def end(scores: np.ndarray) -> float:
    """Second at which the rule ends a run with these scores, the tail included."""
    for count, now in enumerate(TIMES, 1):
        if now < SOONEST * BUDGET:
            continue
        told = forecast(TIMES[:count], scores[:count], BUDGET)
        if told is not None and told.flat:
            return min(BUDGET, (1 + TAIL) * now)
    return BUDGET


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("noise", NOISE)
def test_the_stop_is_within_a_hundredth_of_the_best(name: str, noise: float) -> None:
    truth = CURVES[name](TIMES)
    for seed in range(3):
        stop = end(truth + noise * np.random.default_rng(seed).standard_normal(len(truth)))
        assert truth[stop >= TIMES].max() >= 0.99 * truth.max(), f"stopped at {stop / 60:.0f} min"


@pytest.mark.parametrize("noise", NOISE)
def test_a_run_still_rising_is_not_stopped(noise: float) -> None:
    truth = CURVES["logarithm"](TIMES)
    for seed in range(3):
        assert end(truth + noise * np.random.default_rng(seed).standard_normal(len(truth))) == BUDGET


@pytest.mark.parametrize(
    ("name", "latest"), [("saturates in 1 min", 18), ("saturates in 4 min", 40), ("one figure", 18)]
)
def test_a_saturated_run_is_stopped(name: str, latest: float) -> None:
    truth = CURVES[name](TIMES)
    for seed in range(3):
        assert end(truth + 0.001 * np.random.default_rng(seed).standard_normal(len(truth))) <= 60 * latest


def test_the_forecast_of_the_end_comes_true() -> None:
    scores = CURVES["saturates in 4 min"](TIMES)
    stop = end(scores) / (1 + TAIL)
    errors = []
    for now in (1000.0, 1150.0, 1300.0):
        told = forecast(TIMES[now >= TIMES], scores[now >= TIMES], BUDGET)
        assert told is not None and now < told.seconds < BUDGET
        errors.append(abs(told.seconds - stop))
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.25 * stop
    rising = forecast(TIMES[TIMES <= 900], CURVES["logarithm"](TIMES[TIMES <= 900]), BUDGET)
    assert rising is not None and rising.seconds == math.inf
    assert rising.gain == pytest.approx(0.05 * math.log(61 / 16), rel=0.1)


def test_nothing_is_told_from_too_little() -> None:
    assert forecast(TIMES[:0], TIMES[:0], BUDGET) is None
    assert forecast(TIMES[:30], np.full(30, 0.8), BUDGET) is None  # a sixth of the budget
    assert forecast(TIMES[:3], np.full(3, 0.8), 120.0) is None


def test_scores_that_are_no_numbers_are_left_out() -> None:
    scores = CURVES["one figure"](TIMES).copy()
    scores[::7] = math.nan
    assert end(scores) <= 18 * 60


def test_the_reason_has_its_figures() -> None:
    told = forecast(TIMES[:60], np.full(60, 0.8), BUDGET)
    assert told is not None and told.flat
    text = told.sentence(1200.0, BUDGET)
    assert "0.800 after 20.0 min" in text and "60 min would add about 0.0000" in text
