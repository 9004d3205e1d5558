"""Two pictures are mixed around a jump, and nowhere else."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from photodouble.retarget.fade import ON, fades


def path(choice: list[int], starts: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    begins = np.zeros(len(choice), bool)
    begins[[0, *starts]] = True
    return np.array(choice), begins


def test_a_jump_is_crossed_in_four_steps():
    found = fades(*path([10, 11, 12, 40, 41, 42]), 2)
    assert found == {1: (40, 0.125), 2: (40, 0.375), 3: (12, 0.375), 4: (12, 0.125)}


def test_footage_that_plays_on_is_left_alone():
    assert fades(*path([3, 4, 6, 6, 5, 3]), 2) == {}


def test_nothing_is_mixed_across_a_tracks_start():
    assert fades(*path([1, 1, 90, 90], starts=(2,)), 2) == {}
    assert fades(*path([1, 1, 5, 90, 90], starts=(2,)), 2) == {2: (90, 0.375), 3: (5, 0.375), 4: (5, 0.125)}


def test_a_frame_belongs_to_the_nearest_jump():
    assert fades(*path([1, 20, 40]), 2)[0] == (20, 0.375)
    assert fades(*path([1, 20, 20, 40]), 2)[1] == (1, 0.375)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(1, 4), st.data())
def test_any_path(choice, reach, data):
    starts = data.draw(st.lists(st.booleans(), min_size=len(choice), max_size=len(choice)))
    starts[0] = True
    picked, begins = np.array(choice), np.array(starts)
    found = fades(picked, begins, reach)
    jumps = [k for k in range(1, len(choice)) if abs(choice[k] - choice[k - 1]) > ON and not begins[k]]
    assert bool(found) == bool(jumps)
    for frame, (other, share) in found.items():
        assert 0 < share < 0.5
        assert other in choice
        assert min(min(abs(frame - k), abs(frame - k + 1)) for k in jumps) < reach
    for k in jumps:
        assert k in found and k - 1 in found
