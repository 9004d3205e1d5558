"""Memory that stays with the process."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from photodouble.stages.heap import keep_memory
if sys.argv[1] == "keep":
    keep_memory()
def frame():
    for size in (1 << 20, 3 << 20, 12 << 20):
        np.empty(size, np.uint8).fill(1)
frame()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    frame()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_the_next_frame_takes_memory_that_is_there():
    assert faults("keep") < 100
    assert faults("leave") >= 0
