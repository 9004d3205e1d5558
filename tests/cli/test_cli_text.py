import json
from datetime import date
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photodouble.cli.text import amount, clean, duration, number, plain, plan, size


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (0.62, "0.6 s"),
        (9.99, "10 s"),
        (42.4, "42 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations(seconds, told):
    assert duration(seconds) == told


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 bytes"), (999, "999 bytes"), (10_667_852, "10.7 MB"), (2e12, "2.0 TB")]
)
def test_sizes(count, told):
    assert size(count) == told


def test_numbers_keep_the_digits_that_matter():
    assert [number(v) for v in (472, 34.14, 0.671, 15980.4, float("nan"))] == ["472", "34.1", "0.67", "15,980", "-"]
    assert [number(v) for v in (0.000734, -0.004, 0, 0.005)] == ["0.0007", "-0.004", "0", "0.01"]


def test_a_plan_reads_the_unit_off_the_name():
    told = plan(
        {"frames": 472, "disk_bytes": 12_400_000, "seconds": 380, "minutes": 5, "model": "lite", "images": None}
    )
    assert told == "472 frames, 12.4 MB disk, about 6 min 20 s, 5 min 00 s, model: lite"
    assert amount("files", 1) == "1 file"
    assert amount("crop_size", 256) == "crop size: 256"
    assert amount("resumed", True) == "resumed: yes"


def test_escape_codes_and_undecodable_names_cannot_reach_the_terminal():
    assert clean("a\x1b[2Jb\udcffc\n") == "a\ufffd[2Jb\ufffdc\ufffd"


class Kind(Enum):
    FILM = "film"


def test_results_become_strict_json():
    values = {
        "path": Path("a/b"), "nan": float("nan"), "array": np.array([1.5, np.inf]), "scalar": np.float32(0.5),
        "count": np.int64(3), "flag": np.bool_(True), "kind": Kind.FILM, "day": date(2030, 12, 31), 7: (1, 2),
    }  # fmt: skip
    assert json.loads(json.dumps(plain(values), allow_nan=False)) == {
        "path": "a/b", "nan": None, "array": [1.5, None], "scalar": 0.5,
        "count": 3, "flag": True, "kind": "film", "day": "2030-12-31", "7": [1, 2],
    }  # fmt: skip


LEAVES = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)


@settings(max_examples=50, deadline=None)
@given(st.recursive(LEAVES, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=3), x, max_size=3)))
def test_any_nesting_can_be_written_as_json(value):
    json.loads(json.dumps(plain({"value": value}), allow_nan=False).encode("utf-8"))
