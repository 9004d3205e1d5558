"""The refiners start as what they are given; a `fine` grown from a `standard` starts where that ended."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from photodouble import networks
from photodouble.networks.fine import grow
from photodouble.networks.unet import HEAD, Attention

Build = Callable[..., torch.nn.Module]
SMALL = {"standard": {"widths": (4, 4, 6, 8, 8), "depth": 1}, "fine": {"widths": (4, 4, 6, 8, 8), "outer": 4}}


@pytest.mark.parametrize("name", ["lite", "standard", "fine"])
@torch.no_grad()
def test_an_untrained_network_changes_nothing(name: str) -> None:
    module = networks.create(name, **SMALL.get(name, {}))
    mesh, lines = torch.rand(2, 1, 3, module.size, module.size)
    picture, logits = module(mesh, lines, 1)
    assert torch.equal(picture, mesh)
    assert (logits == 0).all()


@torch.no_grad()
def test_a_standard_grows_into_a_fine_that_draws_the_same(build: Build) -> None:
    standard = build("standard", 3)
    fine = grow(standard, outer=4)
    assert fine.architecture == "fine" and fine.size == 512
    assert networks.config_of(fine) == networks.config_of(standard) | {"outer": 4}
    mesh, lines = torch.rand(2, 1, 3, 512, 512)
    half = F.avg_pool2d(mesh, 2)
    for identity in range(3):
        picture, logits = standard(half, F.avg_pool2d(lines, 2), identity)
        assert (picture - half).abs().mean() > 0.01
        large, large_logits = fine(mesh, lines, identity)
        wanted = mesh + F.interpolate(picture - half, scale_factor=2, mode="bilinear")
        torch.testing.assert_close(large, wanted, atol=1e-5, rtol=0)
        torch.testing.assert_close(large_logits, F.interpolate(logits, scale_factor=2, mode="bilinear"))


def test_what_has_grown_learns_outside_and_inside(build: Build) -> None:
    standard = build("standard", 2)
    before = {key: value.clone() for key, value in standard.state_dict().items()}
    fine = grow(standard, outer=4)
    optimizer = torch.optim.SGD(fine.parameters(), 1.0)
    for _ in range(
        2
    ):  # the outer level is zero at the end of the way, so that its beginning learns from the second step
        mesh, lines, target = torch.rand(3, 1, 3, 512, 512)
        optimizer.zero_grad()
        (fine(mesh, lines, 0)[0] - target).square().mean().backward()
        optimizer.step()
    for part in (
        "encoder.stem",
        "encoder.down",
        "encoder.inner",
        "decoders.0.inner",
        "decoders.0.up",
        "decoders.0.out",
    ):
        gradients = [value.grad for key, value in fine.named_parameters() if key.startswith(part)]
        assert any(value.abs().sum() > 0 for value in gradients), part
    assert all(torch.equal(value, before[key]) for key, value in standard.state_dict().items())


@torch.no_grad()
def test_attention_is_the_softmax_of_products() -> None:
    torch.manual_seed(0)
    module = Attention(2 * HEAD)
    x = torch.randn(2, 2 * HEAD, 3, 4)
    assert torch.equal(module(x), x)  # it starts as nothing
    torch.nn.init.normal_(module.out.weight, std=0.1)
    asked = module.ask(module.norm(x)).flatten(2)
    query, key, value = (part.unflatten(1, (2, HEAD)) for part in asked.chunk(3, 1))
    shares = torch.einsum("nhcp,nhcq->nhpq", query, key).div(HEAD**0.5).softmax(-1)
    taken = torch.einsum("nhpq,nhcq->nhcp", shares, value).reshape(2, 2 * HEAD, 3, 4)
    torch.testing.assert_close(module(x), x + module.out(taken), atol=1e-5, rtol=1e-4)
