"""The convolution with the fast weight gradient is nn.Conv2d in value and gradient."""

import pytest
import torch
from torch import nn

from photodouble.networks import convolution
from photodouble.networks.convolution import Conv2d, weight_gradient


@pytest.mark.parametrize("kernel, stride, size", [(3, 1, 4), (5, 2, 8), (5, 2, 9), (3, 2, 7), (1, 1, 5)])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_value_and_gradients_are_those_of_pytorch(
    kernel: int, stride: int, size: int, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    ours = Conv2d(6, 10, kernel, stride=stride, padding=kernel // 2).to(memory_format=layout)
    theirs = nn.Conv2d(6, 10, kernel, stride=stride, padding=kernel // 2)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(5, 6, size, size).to(memory_format=layout)
    results = []
    for module in (ours, theirs):
        given = x.clone().requires_grad_()
        y = module(given)
        (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
        results.append((y, given.grad, module.weight.grad, module.bias.grad))
    for mine, wanted in zip(*results, strict=True):
        torch.testing.assert_close(mine, wanted, atol=1e-4, rtol=1e-4)


def test_chunks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    x, gradient = torch.randn(7, 4, 8, 8), torch.randn(7, 3, 4, 4)
    whole = weight_gradient(x, gradient, 5, 2, 2)
    monkeypatch.setattr(convolution, "CHUNK", 4 * 4 * 25 * 4 * 4 * 2)  # two pictures at a time
    torch.testing.assert_close(weight_gradient(x, gradient, 5, 2, 2), whole, atol=1e-4, rtol=1e-4)


def test_other_precisions_and_inference_go_to_pytorch() -> None:
    module = Conv2d(2, 3, 3, padding=1)
    x = torch.randn(1, 2, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(module(x), nn.functional.conv2d(x, module.weight, module.bias, padding=1))
    assert torch.autograd.gradcheck(module.double(), x.double().requires_grad_())
