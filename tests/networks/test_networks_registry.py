"""Every registered network runs; the original is exactly the original."""

import inspect
import json
from collections.abc import Callable

import pytest
import torch

from photodouble import networks
from photodouble.errors import BadInput
from photodouble.networks.blocks import Upscale
from photodouble.networks.original import BOTTLENECKS, UPSCALES

Build = Callable[..., torch.nn.Module]
VARIANTS = [(bottleneck, upscale) for bottleneck in BOTTLENECKS for upscale in UPSCALES]


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


def test_original_is_the_default_and_its_weights_keep_their_names() -> None:
    module = networks.create("original", width=4)
    assert networks.config_of(module) == {"identities": 2, "width": 4, "bottleneck": "dense", "upscale": "shuffle"}
    names = {key.rpartition(".")[0] for key in module.state_dict()}
    encoder = {f"encoder.convolutions.{number}" for number in (0, 2, 4, 6)}
    encoder |= {"encoder.narrow", "encoder.widen", "encoder.upscale.convolution"}
    upscales = {f"decoders.{i}.upscales.{number}.convolution" for i in (0, 1) for number in (0, 1, 2)}
    assert names == encoder | upscales | {"decoders.0.picture", "decoders.1.picture"}


@pytest.mark.parametrize(("bottleneck", "upscale"), VARIANTS)
def test_original_without_its_parts(bottleneck: str, upscale: str) -> None:
    module = networks.create("original", width=8, bottleneck=bottleneck, upscale=upscale)
    pictures = torch.rand(2, 3, 64, 64)
    code = module.encode(pictures)
    assert code.shape == (2, 4 * 8, 8, 8)
    picture = module.decode(code, 1)
    assert picture.shape == pictures.shape
    (picture - pictures).abs().mean().backward()
    unused = {key for key, value in module.named_parameters() if value.grad is None or not value.grad.any()}
    assert unused == {key for key, _ in module.named_parameters() if key.startswith("decoders.0.")}
    assert (count(module.encoder) > count(networks.create("original", width=8, bottleneck="none").encoder)) == (
        bottleneck == "dense"
    )


def test_pixel_shuffle_is_a_transposed_convolution() -> None:
    upscale = Upscale(5, 3)
    torch.nn.init.zeros_(upscale.convolution.bias)
    taps = upscale.convolution.weight.view(3, 2, 2, 5, 3, 3).flip(4, 5)  # filter, two of four places, channel, kernel
    weight = taps.permute(3, 0, 4, 1, 5, 2).reshape(5, 3, 6, 6)
    picture = torch.rand(2, 5, 7, 7)
    expected = torch.nn.functional.conv_transpose2d(picture, weight, stride=2, padding=2)
    torch.testing.assert_close(upscale(picture), torch.nn.functional.leaky_relu(expected, 0.1))


def draw(module: torch.nn.Module, given: torch.Tensor, identity: int) -> torch.Tensor:
    """All that the network gives, N x channels x size x size."""
    result = module(*given, identity=identity)
    return torch.cat(result, 1) if isinstance(result, tuple) else result


def pictures(module: torch.nn.Module, count: int) -> torch.Tensor:
    inputs = [key for key in inspect.signature(module.forward).parameters if key != "identity"]
    return torch.rand(len(inputs), count, 3, module.size, module.size)


@pytest.mark.parametrize("name", networks.names())
def test_forward_and_backward(build: Build, name: str) -> None:
    module = build(name, 3)
    given = pictures(module, 3)
    results = [draw(module, given[:, number : number + 1], number) for number in range(3)]
    for result in results:
        assert result.shape[0] == 1 and result.shape[2:] == (module.size, module.size)
        assert result.isfinite().all()
    torch.cat(results).square().mean().backward()
    for key, value in module.named_parameters():
        assert value.grad is not None and value.grad.isfinite().all(), key
    used = [bool(value.grad.abs().sum() > 0) for value in module.parameters()]
    assert sum(used) > 0.9 * len(used)  # what a ReLU keeps shut has none


@pytest.mark.parametrize("name", networks.names())
@torch.no_grad()
def test_a_picture_is_drawn_the_same_in_any_company(build: Build, name: str) -> None:
    module = build(name)
    given = pictures(module, 3)
    given[:, 1] = 0
    given[:, 2] = 1
    together = draw(module, given, 1)
    assert together.isfinite().all()
    for number in range(3):
        torch.testing.assert_close(draw(module, given[:, number : number + 1], 1)[0], together[number])
    last = draw(module, given.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3), 1)
    torch.testing.assert_close(last, together, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", networks.names())
def test_config_survives_json_and_rebuilds_the_same_network(build: Build, name: str) -> None:
    module = build(name)
    assert module.architecture == name
    config = networks.config_of(module)
    assert json.loads(json.dumps(config)) == config
    again = networks.create(name, **config)
    assert again.config == module.config
    again.load_state_dict(module.state_dict())


def test_unknown_names_are_told() -> None:
    with pytest.raises(BadInput, match="original"):
        networks.create("nonesuch")
    with pytest.raises(BadInput, match=r"'wide'.*width"):
        networks.create("original", wide=3)
    with pytest.raises(BadInput, match="blur"):
        networks.create("original", upscale="blur")
