"""Small networks in which no layer is zero."""

from collections.abc import Callable

import pytest
import torch

from photodouble import networks

SMALL = {
    "original": {"width": 4},
    "lite": {"width": 4},
    "standard": {"widths": (4, 4, 6, 8, 8), "depth": 1},
    "fine": {"widths": (4, 4, 6, 8, 8), "depth": 1, "outer": 4},
}  # fmt: skip


@pytest.fixture
def build() -> Callable[..., torch.nn.Module]:
    """`build(name, identities)`: layers that start as zero would hide the ones before them."""

    def make(name: str, identities: int = 3) -> torch.nn.Module:
        torch.manual_seed(0)
        module = networks.create(name, **SMALL.get(name, {}), identities=identities)
        with torch.no_grad():
            for value in module.parameters():
                value.add_(0.05 * torch.randn_like(value))
        return module

    return make
