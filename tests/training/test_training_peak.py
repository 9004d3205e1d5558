import pytest
import torch

from photodouble import networks
from photodouble.training.peak import forward_flops, matrix_peak


def test_the_original_costs_what_was_counted_by_hand() -> None:
    with torch.device("meta"):
        module = networks.create("original")
        flops = forward_flops(module, torch.empty(2, 3, 64, 64), 0)
    macs = 32**2 * 75 * 128 + 16**2 * 25 * 128 * 256 + 8**2 * 25 * 256 * 512 + 4**2 * 25 * 512 * 1024
    macs += 2 * 16384 * 1024 + 4**2 * 9 * 1024 * 2048
    macs += 8**2 * 9 * 512 * 1024 + 16**2 * 9 * 256 * 512 + 32**2 * 9 * 128 * 256 + 64**2 * 25 * 64 * 3
    assert flops == pytest.approx(2 * 2 * macs)


def test_the_peak_is_positive_and_of_this_world() -> None:
    assert 1e8 < matrix_peak(size=256, seconds=0.02) < 1e16
