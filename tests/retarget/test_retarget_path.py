"""The path of pictures through a shot: the cheapest one, free to jump where a track begins."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from photodouble.retarget.path import choose


def cost(path, wanted, target, starts, stay, price):
    """The price of a path, written down from its definition."""
    total = 0.0
    for t, i in enumerate(path):
        total += ((wanted[i] - target[t]) ** 2).sum() + price[i]
        if t and not starts[t]:
            total += stay * ((wanted[i] - wanted[path[t - 1]]) ** 2).sum()
    return total


@settings(max_examples=60)
@given(
    st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.sampled_from([0.0, 0.3, 0.6, 4.0]), st.integers(0, 999)
)
def test_it_is_the_cheapest_of_all_paths(n, t, d, stay, seed):
    rng = np.random.default_rng(seed)
    wanted, target = rng.normal(size=(n, d)).astype(np.float32), rng.normal(size=(t, d)).astype(np.float32)
    starts, price = rng.random(t) < 0.3, rng.random(n)
    path = choose(wanted, target, starts, stay, price)
    assert path.shape == (t,)
    found = cost(path, wanted, target, starts, stay, price)
    best = min(cost(other, wanted, target, starts, stay, price) for other in product(range(n), repeat=t))
    assert found <= best + 1e-4 * (1 + best)


def test_without_a_price_for_changes_each_frame_takes_its_nearest_picture():
    rng = np.random.default_rng(0)
    wanted, target = rng.normal(size=(40, 6)), rng.normal(size=(90, 6))
    nearest = ((target[:, None] - wanted[None]) ** 2).sum(2).argmin(1)
    assert (choose(wanted, target, np.zeros(90, bool), 0.0) == nearest).all()


def test_a_flicker_is_not_followed_unless_a_track_begins_there():
    wanted = np.array([[0.0], [1.0]], np.float32)
    target = np.array([[0.0], [0.0], [0.6], [0.0], [0.0]], np.float32)
    starts = np.zeros(5, bool)
    assert choose(wanted, target, starts, 0.6).tolist() == [0, 0, 0, 0, 0]
    starts[2:4] = True
    assert choose(wanted, target, starts, 0.6).tolist() == [0, 0, 1, 0, 0]


def test_a_dear_picture_is_avoided_and_no_frames_give_no_path():
    wanted = np.array([[0.0], [0.1]], np.float32)
    target = np.zeros((3, 1), np.float32)
    assert choose(wanted, target, np.zeros(3, bool), 0.6, np.array([0.5, 0.0])).tolist() == [1, 1, 1]
    assert choose(wanted, target[:0], np.zeros(0, bool), 0.6).shape == (0,)
