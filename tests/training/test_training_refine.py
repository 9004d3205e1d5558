"""The training of the refiners: several people, balanced, a critic that survives a resume, settings for GPUs."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from photodouble import networks
from photodouble.training.augment import Augmentation
from photodouble.training.balance import balance
from photodouble.training.checkpoint import load_model
from photodouble.training.engine import fit
from photodouble.training.pair_cache import PairCache, Sampler
from photodouble.training.pair_losses import Weights, importance, pair_losses
from photodouble.training.recipes import RECIPES, refine
from photodouble.training.refine import Refine
from photodouble.training.run import Run
from photodouble.training.speed import Speed
from photodouble.training.task import Budget, Pace, Stopped

CPU = torch.device("cpu")
TINY: dict[str, dict[str, Any]] = {
    "lite": {"width": 4},
    "standard": {"widths": (4, 4, 4, 8, 8), "depth": 1},
    "fine": {"widths": (4, 4, 4, 8, 8), "depth": 1, "outer": 4},
}
STILL = Augmentation(0, 0, 0, 0, 0, 0)


def pairs(size: int = 128, count: int = 6, light: int = 0) -> PairCache:
    """Smooth pictures whose `mesh` is darker than the truth by `light`."""
    generator = torch.Generator().manual_seed(size + light)
    coarse = torch.rand(3, count, 3, 8, 8, generator=generator)
    mesh, lines, _ = (torch.nn.functional.interpolate(part, size=(size, size), mode="bilinear") for part in coarse)
    mesh, lines = ((part * 200).byte().permute(0, 2, 3, 1).contiguous() for part in (mesh, lines))
    matte = torch.zeros(count, size, size, dtype=torch.uint8)
    matte[:, size // 4 : -size // 4, size // 4 : -size // 4] = 255
    return PairCache(mesh, lines, mesh + light, matte, np.arange(count) >= count - 2)


def test_three_people_in_one_batch_train_their_own_decoders() -> None:
    caches = {name: pairs(light=light) for name, light in (("a", 10), ("b", 30), ("c", 50))}
    task = Refine(caches, settings=TINY["lite"], batch_size=2, others=1, strength=STILL, rate=1e-2)
    run = Run(task, 0, CPU)
    assert task.images_per_batch == 4
    assert task.batch(run.generator, CPU)["pairs"].shape == (4, 10, 128, 128)
    for _ in range(20):
        run.step(1.0)
    mesh, lines = (part.permute(0, 3, 1, 2).float() / 255 for part in (caches["a"].mesh, caches["a"].lines))
    with torch.no_grad():
        added = [float((run.module(mesh, lines, number)[0] - mesh).mean()) * 255 for number in range(3)]
    assert added == pytest.approx([10, 30, 50], abs=9)


@pytest.mark.parametrize("model", sorted(RECIPES))
def test_each_model_takes_a_step_of_its_recipe(model: str) -> None:
    size = networks.size_of(model)
    task = refine(model, {"a": pairs(size, 4, 20), "b": pairs(size, 4)}, settings=TINY[model], batch_size=1, others=1)
    run = Run(task, 0, CPU)
    before = {key: value.clone() for key, value in run.module.state_dict().items()}
    run.step(1.0)  # the decoders start as zero, so that the encoder learns from the second step on
    losses = run.step(1.0, late=0.5)
    assert all(value.isfinite() for value in losses.values())
    assert ("critic" in losses) == bool(RECIPES[model])
    changed = [key for key, value in run.module.state_dict().items() if not torch.equal(value, before[key])]
    assert {key.split(".")[0] for key in changed} == {"encoder", "decoders"}
    figures, picture = run.evaluate()
    assert 0 < figures["ssim"] <= 1 and picture.shape == (3 * min(256, size), 2 * min(256, size), 3)


def test_pairs_of_another_size_are_told() -> None:
    with pytest.raises(ValueError, match=r"standard is trained on pairs of 256 pixels.*ada \(128\)"):
        refine("standard", {"ada": pairs()})


def bytes_of(folder: Path) -> list[str]:
    names = ("weights.safetensors", "training_state.safetensors")
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]


def with_critic() -> Refine:
    return Refine(
        {"a": pairs(light=20)}, settings=TINY["lite"], batch_size=2, weights=Weights(critic=0.05), name="critical"
    )


def train(folder: Path, images: int, parts: list[int]) -> None:
    """All in all `images`, with a stop after each of `parts`."""
    for stop in [*parts, images]:
        events = fit(with_critic(), folder, Budget(images=images), pace=Pace(0, 60, 0, save_share=1e9))
        for event in events:
            if not isinstance(event, Stopped) and getattr(event, "images", 0) >= stop < images:
                events.close()
                break


def test_a_critic_survives_an_interruption_and_is_not_in_the_model(tmp_path: Path) -> None:
    train(tmp_path / "once", 16, [])
    train(tmp_path / "thrice", 16, [4, 12])  # before and after the critic begins, halfway
    state = {key: value for key, value in torch_file(tmp_path / "once").items() if key.startswith("helper/")}
    assert len(state) > 8
    fresh = with_critic()
    torch.manual_seed(0)
    fresh.build()
    first = fresh.helper.state_dict()
    assert any(not torch.equal(value, first[key.removeprefix("helper/")]) for key, value in state.items())
    module = load_model(tmp_path / "once").module
    assert not [key for key in module.state_dict() if "helper" in key]
    raw = {key for key in torch_file(tmp_path / "once") if key.startswith("module/")}
    assert {key.removeprefix("module/") for key in raw} == set(module.state_dict())
    assert bytes_of(tmp_path / "once")[0] == bytes_of(tmp_path / "thrice")[0]
    one, other = (torch_file(tmp_path / name) for name in ("once", "thrice"))
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[key]) for key, value in one.items())


def torch_file(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "training_state.safetensors")


def test_a_step_can_be_taken_in_parts() -> None:
    task = Refine({"a": pairs(), "b": pairs(light=20)}, settings=TINY["lite"], batch_size=4, others=2)
    module = task.build()
    batch = task.batch(torch.Generator().manual_seed(0), CPU)
    half = task.part(2)
    assert half is not None and (half.images_per_batch, task.images_per_batch) == (3, 6)
    rows = torch.tensor([[0, 1, 4], [2, 3, 5]])
    parts = [half.losses(module, {"pairs": batch["pairs"][some]})["total"] for some in rows]
    torch.testing.assert_close(torch.stack(parts).mean(), task.losses(module, batch)["total"])
    assert half.batch(torch.Generator().manual_seed(0), CPU)["pairs"].shape[0] == 3
    assert task.part(4) is None


def test_rare_expressions_are_seen_more_often() -> None:
    rng = np.random.default_rng(0)
    common, rare = np.zeros((180, 52)), np.zeros((20, 52))
    rare[:, 25] = 1
    blendshapes = np.concatenate([common, rare]) + 0.02 * rng.standard_normal((200, 52))
    weight = balance(blendshapes, np.zeros((200, 3)))
    assert weight.dtype == np.float32 and weight.mean() == pytest.approx(1)
    turned = balance(np.zeros((200, 52)), np.concatenate([np.zeros((190, 3)), np.full((10, 3), 40.0)]))
    assert turned[-1] / turned[0] == pytest.approx(np.sqrt(19), rel=0.01)
    assert (balance(np.zeros((9, 52)), np.zeros((9, 3))) == 1).all()
    assert (balance(np.zeros((1, 52)), np.zeros((1, 3))) == 1).all()


def test_the_sampler_follows_the_weights_and_never_shows_what_is_held_out() -> None:
    cache = pairs(size=8, count=6)
    cache.mesh[:] = torch.arange(6, dtype=torch.uint8)[:, None, None, None] * 10
    weighted = PairCache(
        cache.mesh, cache.lines, cache.target, cache.matte, cache.held_out, np.array([1, 1, 1, 5, 9, 9])
    )
    for balanced, wanted in ((True, [1 / 8, 1 / 8, 1 / 8, 5 / 8]), (False, [0.25] * 4)):
        drawn = Sampler(weighted, CPU, balanced).draw(4000, torch.Generator().manual_seed(0))
        rows = (drawn[:, 0, 0, 0] * 255 / 10).round().long()
        shares = torch.bincount(rows, minlength=6) / 4000
        assert shares[:4].tolist() == pytest.approx(wanted, abs=0.03)
        assert shares[4:].sum() == 0


def test_eyes_and_lips_count_more_in_any_size() -> None:
    lines = torch.zeros(1, 3, 128, 128)
    lines[:, 1, 60:64, 40:48] = 0.5
    weight = importance(lines)
    assert weight.unique().tolist() == [1, 4]
    larger = importance(torch.nn.functional.interpolate(lines, scale_factor=4))
    assert float((larger > 1).float().mean()) == pytest.approx(float((weight > 1).float().mean()), rel=0.15)


def test_the_loss_is_one_graph_for_the_compiler() -> None:
    task = refine(
        "standard", {"a": pairs(256, 3), "b": pairs(256, 3)}, settings=TINY["standard"], batch_size=1, others=1
    )
    run = Run(task, 0, CPU)
    batch = task.batch(run.generator, CPU)["pairs"]
    rest = batch, [1, 1], (0, 1), Weights(scales=3, slopes=0.5, frequency=0.1), Speed()
    plain = pair_losses(run.module, *rest)[0]["total"]
    caught = torch.compile(pair_losses, fullgraph=True, backend="eager", dynamic=False)(run.module, *rest)[0]["total"]
    assert caught.item() == pytest.approx(plain.item(), rel=1e-5)


def test_settings_for_gpus_do_nothing_on_a_cpu() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    speed = Speed("bf16", "reduce-overhead")
    speed.prepare(CPU)
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark) == before
    assert speed.compiled(pair_losses, CPU) is pair_losses
    with speed.autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    with pytest.raises(ValueError, match="choose one of float32"):
        Speed("fp8")
