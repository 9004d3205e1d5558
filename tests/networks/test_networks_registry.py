"""Every registered network runs; the original is exactly the original."""

import inspect
import json

import pytest
import torch

from photodouble import networks
from photodouble.errors import BadInput

SMALL = {"original": {"identities": 3, "width": 4}}  # settings that make a network quick to build


def count(module: torch.nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


def test_original_has_the_original_parameter_counts() -> None:
    with torch.device("meta"):
        module = networks.create("original")
    assert count(module.encoder) == 69_662_976
    assert [count(decoder) for decoder in module.decoders] == [6_199_747] * 2


def test_original_has_the_original_shapes() -> None:
    module = networks.create("original", width=16)
    picture = torch.rand(3, 3, 64, 64)
    code = module.encode(picture)
    assert code.shape == (3, 4 * 16, 8, 8)
    swapped = module.decode(code, 1)
    assert swapped.shape == (3, 3, 64, 64)
    assert swapped.min() > 0 and swapped.max() < 1
    assert not torch.allclose(swapped, module(picture, 0))
    torch.testing.assert_close(swapped, module(picture, 1))


@pytest.mark.parametrize("name", networks.names())
def test_forward_and_backward(name: str) -> None:
    module = networks.create(name, **SMALL.get(name, {}))
    with torch.no_grad():
        for value in module.parameters():  # layers that start as zero would hide the ones before them
            value.add_(0.05 * torch.randn_like(value))
    pictures = [key for key in inspect.signature(module.forward).parameters if key != "identity"]
    results = module(*torch.rand(len(pictures), 3, 3, module.size, module.size), identity=0)
    for result in results if isinstance(results, tuple) else (results,):
        assert len(result) == 3 and result.isfinite().all()
        result.square().mean().backward(retain_graph=True)
    gradients = [value.grad for value in module.parameters() if value.grad is not None]
    assert all(value.isfinite().all() for value in gradients)
    assert sum(bool(value.abs().sum() > 0) for value in gradients) > 0.9 * len(gradients) > 0


def test_each_identity_has_its_own_decoder() -> None:
    module = networks.create("original", **SMALL["original"])
    module(torch.rand(2, 3, 64, 64), 1).mean().backward()
    for key, value in module.named_parameters():
        assert (value.grad is None) == key.startswith(("decoders.0.", "decoders.2.")), key


@pytest.mark.parametrize("name", networks.names())
def test_config_survives_json_and_rebuilds_the_same_network(name: str) -> None:
    module = networks.create(name, **SMALL.get(name, {}))
    assert module.architecture == name
    config = json.loads(json.dumps(networks.config_of(module)))
    again = networks.create(name, **config)
    assert again.config == module.config
    again.load_state_dict(module.state_dict())


def test_unknown_names_are_told() -> None:
    with pytest.raises(BadInput, match="original"):
        networks.create("nonesuch")
    with pytest.raises(BadInput, match=r"'wide'.*width"):
        networks.create("original", wide=3)
