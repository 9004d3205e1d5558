"""Networks know several people, and one more is taken in without changing the others."""

import inspect
from collections.abc import Callable

import pytest
import torch

from photodouble import networks

Build = Callable[..., torch.nn.Module]


def pictures(module: torch.nn.Module, count: int) -> torch.Tensor:
    inputs = [key for key in inspect.signature(module.forward).parameters if key != "identity"]
    return torch.rand(len(inputs), count, 3, module.size, module.size)


@torch.no_grad()
def draw(module: torch.nn.Module, given: torch.Tensor, identity: int) -> torch.Tensor:
    result = module(*given, identity)
    return torch.cat(result, 1) if isinstance(result, tuple) else result


@pytest.mark.parametrize("name", networks.names())
def test_three_people_have_three_decoders(build: Build, name: str) -> None:
    module = build(name, 3)
    given = pictures(module, 1)
    drawn = [draw(module, given, identity) for identity in range(3)]
    assert all(not torch.allclose(a, b) for a, b in zip(drawn, drawn[1:] + drawn[:1], strict=True))
    result = module(*given, 1)
    (torch.cat(result, 1) if isinstance(result, tuple) else result).square().mean().backward()
    for key, value in module.named_parameters():
        others = key.startswith(("decoders.0.", "decoders.2."))
        assert (value.grad is None) == others, key


@pytest.mark.parametrize("name", networks.names())
def test_a_new_identity_changes_nobody(build: Build, name: str) -> None:
    module = build(name, 2)
    given = pictures(module, 1)
    larger = networks.add_identity(module, like=1)
    assert networks.config_of(larger) == networks.config_of(module) | {"identities": 3}
    for identity in (0, 1):
        assert torch.equal(draw(larger, given, identity), draw(module, given, identity))
    assert torch.equal(draw(larger, given, 2), draw(module, given, 1))
    with torch.no_grad():
        next(larger.decoders[2].parameters()).add_(1)
    assert torch.equal(draw(larger, given, 1), draw(module, given, 1))


def test_a_new_identity_starts_from_the_mean(build: Build) -> None:
    module = build("lite", 2)
    larger = networks.add_identity(module.eval())
    first, second, new = (dict(decoder.named_parameters()) for decoder in larger.decoders)
    for key, value in new.items():
        torch.testing.assert_close(value, (first[key] + second[key]) / 2)
        assert value.requires_grad
    assert not larger.training
    assert len(module.decoders) == 2


@pytest.mark.parametrize("like", [-1, 2])
def test_there_must_be_such_an_identity(build: Build, like: int) -> None:
    with pytest.raises(ValueError, match="2 identities"):
        networks.add_identity(build("lite", 2), like)
