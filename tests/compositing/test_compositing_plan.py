"""What a shot's frames are told: filtered without lag, and no further than it should."""

import numpy as np

from photodouble.compositing import plan_moments
from photodouble.compositing.plan import NUMBERS

T = 80


def looks(light):
    """(t, 8) of a face whose mean red is `light`."""
    numbers = np.ones((len(light), NUMBERS))
    numbers[:, :3] = 120
    numbers[:, 0] = light
    return numbers


def planned(numbers, starts=None, hidden=None, centres=None):
    t = len(numbers)
    starts = np.zeros(t, bool) if starts is None else starts
    hidden = np.zeros(t, bool) if hidden is None else hidden
    centres = np.zeros((t, 2)) if centres is None else centres
    return plan_moments(np.arange(10, 10 + t), numbers, centres, starts, hidden)


def red(moments):
    return moments.looks[:, 0]


def test_noise_goes_and_a_change_of_light_stays_where_it_is():
    noise = np.random.default_rng(0).normal(0, 0.8, T)
    steady = red(planned(looks(120 + noise)))
    assert steady.std() < 0.4 * noise.std()
    switched = red(planned(looks(np.where(np.arange(T) < 40, 100.0, 140.0))))
    assert abs(switched[:40] - 100).max() < 4
    assert abs(switched[40:] - 140).max() < 4


def test_a_ramp_has_no_lag_and_tracks_do_not_mix():
    ramp = red(planned(looks(100 + 0.2 * np.arange(T))))
    assert abs(ramp - (100 + 0.2 * np.arange(T)))[16:-16].max() < 1e-6
    starts = np.arange(T) == 40
    apart = red(planned(looks(np.where(np.arange(T) < 40, 100.0, 102.0)), starts))
    assert abs(apart[:40] - 100).max() < 1e-9
    assert abs(apart[40:] - 102).max() < 1e-9


def test_frames_behind_a_hand_and_frames_not_looked_at_follow_their_neighbours():
    hidden = (np.arange(T) > 30) & (np.arange(T) < 40)
    light = np.where(hidden, 60.0, 120.0)
    assert abs(red(planned(looks(light), hidden=hidden)) - 120).max() < 3
    numbers = looks(np.full(T, 120.0))
    numbers[np.arange(T) % 3 > 0] = np.nan
    assert abs(red(planned(numbers)) - 120).max() < 1e-9
    nothing = planned(np.full((T, NUMBERS), np.nan))
    assert nothing.at(12).look is None


def test_motion_is_the_faces_and_a_frame_is_found_by_its_number():
    centres = np.stack([3.0 * np.arange(T), np.zeros(T)], 1)
    moments = planned(looks(np.full(T, 120.0)), centres=centres)
    assert np.allclose(moments.at(40).motion, (3, 0), atol=1e-6)
    assert moments.at(40).index == 40
    assert moments.at(9).look is None
    assert moments.at(9).motion is None
