"""What a network starts from: the weights that the prior's decoders hold, for each identity."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from photodouble import networks
from photodouble.errors import BadInput
from photodouble.training import model_json
from photodouble.training.checkpoint import save_model
from photodouble.training.model_json import Meta
from photodouble.training.prior import EVERYBODY, PRIORS, load_prior


def saved(folder: Path, names: list[str], architecture: str = "lite", **values) -> torch.nn.Module:
    torch.manual_seed(len(names))
    module = networks.create(architecture, identities=len(names), **values)
    with torch.no_grad():
        for value in module.parameters():
            value.add_(0.1 * torch.rand_like(value))
    meta = Meta(architecture, networks.config_of(module), names, {name: name * 2 for name in names}, images=7)
    save_model(folder, module, meta)
    return module


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_every_decoder_starts_as_the_priors(tmp_path):
    old = saved(tmp_path / "prior", [EVERYBODY])
    loaded = load_prior(str(tmp_path / "prior"), "lite")
    assert loaded is not None
    new = networks.create("lite", identities=3)
    loaded.fill(new, ["ada", "double", "ben"])
    assert same(new.encoder, old.encoder)
    assert all(same(decoder, old.decoders[0]) for decoder in new.decoders)
    told = loaded.record()
    assert told["consent"] == {EVERYBODY: EVERYBODY * 2}
    assert told["from"] == str(tmp_path / "prior") and told["images"] == 7
    assert told["weights"] == model_json.load_meta(tmp_path / "prior").weights


def test_a_known_identity_keeps_its_decoder_and_a_new_one_gets_the_mean(tmp_path):
    old = saved(tmp_path, ["ada", "double"])
    loaded = load_prior(str(tmp_path), "lite")
    assert loaded is not None
    new = networks.create("lite", identities=2)
    loaded.fill(new, ["ben", "ada"])
    assert same(new.decoders[1], old.decoders[0])
    ada, double, ben = (decoder.out.weight for decoder in (*old.decoders, new.decoders[0]))
    torch.testing.assert_close(ben, (ada + double) / 2)


def test_a_standard_grows_into_the_start_of_a_fine(tmp_path):
    small = {"widths": (4, 4, 4, 4, 4), "depth": 1}
    old = saved(tmp_path, ["ada", "double"], "standard", **small)
    loaded = load_prior(str(tmp_path), "fine")
    assert loaded is not None
    new = networks.create("fine", identities=2, **small)
    loaded.fill(new, ["double", "ada"])
    assert same(new.encoder.inner, old.encoder)
    assert same(new.decoders[0].inner, old.decoders[1])
    assert (new.decoders[0].out.weight == 0).all()
    with pytest.raises(BadInput, match="is a 'standard' and cannot start a 'lite'"):
        load_prior(str(tmp_path), "lite")


def test_the_best_weights_are_taken_not_the_newest(tmp_path):
    module = saved(tmp_path, [EVERYBODY])
    best = {key: value + 1 for key, value in module.state_dict().items()}
    save_model(tmp_path, module, replace(model_json.load_meta(tmp_path), best={"score": 0.5}), best=best)
    loaded = load_prior(str(tmp_path), "lite")
    assert loaded is not None
    assert all(torch.equal(loaded.weights[key], value) for key, value in best.items())
    assert loaded.record()["weights"] == loaded.meta.best["weights"] != loaded.meta.weights


def test_half_precision_is_read_as_single(tmp_path):
    module = saved(tmp_path / "whole", [EVERYBODY])
    meta = model_json.load_meta(tmp_path / "whole")
    save_model(tmp_path / "half", module.half(), replace(meta, weights=""))
    assert {value.dtype for value in load_file(tmp_path / "half" / "weights.safetensors").values()} == {torch.float16}
    loaded = load_prior(str(tmp_path / "half"), "lite")
    assert loaded is not None
    new = networks.create("lite")
    loaded.fill(new, ["ada", "double"])
    assert {value.dtype for value in new.parameters()} == {torch.float32}
    assert same(new.decoders[1], module.decoders[0].float())


def refused(text: str, *arguments) -> None:
    with pytest.raises(BadInput, match=text) as told:
        load_prior(*arguments)
    assert str(told.value).endswith(".") and not re.search(r"\. [A-Z]", str(told.value))


def test_what_does_not_fit_is_refused_in_one_sentence(tmp_path):
    saved(tmp_path / "narrow", [EVERYBODY], width=8)
    refused(r"another width \(8, not 24\)", str(tmp_path / "narrow"), "lite")
    refused("is a 'lite' and cannot start a 'original'", str(tmp_path / "narrow"), "original")
    refused("There is no model in", str(tmp_path / "nowhere"), "lite")
    refused("comes with photodouble", "bundled", "original")
    path = tmp_path / "narrow" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    refused("cut off", str(tmp_path / "narrow"), "lite")


def test_the_bundled_prior_fits_the_network_and_is_of_ai_generated_people():
    """It has to be made anew (benchmarks/make_prior.py) when the network changes."""
    loaded = load_prior(None, "lite")
    assert loaded is not None
    new = networks.create("lite", identities=2)
    loaded.fill(new, ["ada", "double"])
    assert same(new.decoders[0], new.decoders[1])
    assert all(bool(value.isfinite().all()) for value in new.parameters())
    assert float(new.decoders[0].out.weight.abs().max()) > 0  # an untrained decoder's are zero
    told = loaded.record()
    assert told["from"] == "bundled" and told["images"] == loaded.meta.images
    assert set(told["consent"]) == {f"p{number:03d}" for number in (1, 2, 4, 5, 7, 8, 10)}
    assert sum(file.stat().st_size for file in (PRIORS / "lite").iterdir()) <= 20e6


def test_none_is_none():
    assert load_prior("none", "lite") is None
    assert load_prior(None, "original") is None
