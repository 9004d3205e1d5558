"""The split by time, the crop cache, losses, augmentation and the original's task."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from photodouble.errors import BadInput
from photodouble.training.augment import Augmentation, affine, augment, warp_field
from photodouble.training.autoencode import Autoencode
from photodouble.training.data import crop_cache, split_by_time
from photodouble.training.losses import dssim, l1, ssim

STILL = Augmentation(rotation=0, zoom=0, shift=0, flip=0, warp=0)


@settings(max_examples=200, deadline=None)
@given(
    clips=st.lists(st.lists(st.integers(0, 900), min_size=1, max_size=400), min_size=1, max_size=3),
    share=st.floats(0.02, 0.4),
    gap=st.integers(0, 40),
)
def test_held_out_frames_have_no_near_neighbour_in_training(clips: list[list[int]], share: float, gap: int) -> None:
    frame = np.array([number for clip in clips for number in clip])
    source = np.array([name for name, clip in enumerate(clips) for _ in clip])
    split = split_by_time(frame, source, share, gap)
    assert len(split.train)
    assert not set(split.train) & set(split.held_out)
    assert len(set(split.train)) == len(split.train) and len(set(split.held_out)) == len(split.held_out)
    assert len(split.held_out) <= share * len(frame) + 4 * len(clips)
    for name in range(len(clips)):
        out = frame[split.held_out[source[split.held_out] == name]]
        kept = frame[split.train[source[split.train] == name]]
        assert len(kept) >= len(clips[name]) * (0.5 if len(out) else 1) * (1 - share) - 4
        if len(out):
            assert np.abs(out[:, None] - kept[None]).min() >= max(gap, 1)


def test_a_clip_of_400_frames_holds_out_four_stretches() -> None:
    split = split_by_time(np.arange(400), np.zeros(400), 0.12, 12)
    assert len(split.held_out) == 48
    assert (np.diff(split.held_out) > 1).sum() == 3
    assert len(split.train) == 400 - 48 - 4 * 2 * 11


def test_the_order_of_the_rows_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(300)
    shuffled, plain = (split_by_time(frames, np.zeros(300)) for frames in (order, np.arange(300)))
    assert sorted(order[shuffled.held_out]) == sorted(plain.held_out)


def test_stills_are_all_trained_on() -> None:
    split = split_by_time(np.zeros(20), np.arange(20))
    assert len(split.train) == 20 and not len(split.held_out)


def faces(count: int, seed: int = 0, size: int = 64) -> np.ndarray:
    rough = torch.rand(count, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(rough, size=(size, size), mode="bicubic").clamp(0, 1)
    return (smooth * 255).byte().permute(0, 2, 3, 1).numpy()


def test_the_cache_samples_only_what_is_trained_on() -> None:
    crops = np.repeat(np.arange(200, dtype=np.uint8), 4 * 4 * 3).reshape(200, 4, 4, 3)
    cache = crop_cache(crops, np.arange(200), np.zeros(200))
    sample = cache.sample(500, torch.Generator().manual_seed(0), torch.device("cpu"))
    assert sample.shape == (500, 3, 4, 4)
    seen = set((sample[:, 0, 0, 0] * 255).round().int().tolist())
    assert seen <= set(cache.split.train.tolist()) and len(seen) > 50
    held = cache.held_out(10, torch.device("cpu"))
    assert set((held[:, 0, 0, 0] * 255).round().int().tolist()) <= set(cache.split.held_out.tolist())
    assert len(held) == 10
    crops[3] += 1
    assert (
        crop_cache(crops, np.arange(200), np.zeros(200)).fingerprint()
        != crop_cache(
            crops - (np.arange(200) == 3)[:, None, None, None].astype(np.uint8), np.arange(200), np.zeros(200)
        ).fingerprint()
    )


def test_a_cache_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="ann"):
        crop_cache(np.empty((0, 64, 64, 3), np.uint8), np.empty(0), np.empty(0), "ann")


def pictures(count: int) -> torch.Tensor:
    return torch.from_numpy(faces(count)).permute(0, 3, 1, 2).float() / 255


def test_ssim_of_equal_pictures_is_one_and_falls_with_noise() -> None:
    x = pictures(4)
    torch.testing.assert_close(ssim(x, x), torch.ones(4))
    assert dssim(x, x).abs() < 1e-6
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    slight, strong = ssim(x, x + 0.02 * noise), ssim(x, x + 0.2 * noise)
    assert (strong < slight).all() and (slight < 1).all()


def test_ssim_is_wangs_formula() -> None:
    a, b = torch.rand(2, 1, 1, 7, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x, y = a.numpy().ravel(), b.numpy().ravel()
    covariance = np.cov(x, y)
    wanted = (2 * x.mean() * y.mean() + 1e-4) * (2 * covariance[0, 1] + 9e-4)
    wanted /= (x.mean() ** 2 + y.mean() ** 2 + 1e-4) * (covariance[0, 0] + covariance[1, 1] + 9e-4)
    assert float(ssim(a, b)) == pytest.approx(wanted)


def test_weighted_l1() -> None:
    a, b = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    b[..., 0, 0] = 1
    weight = torch.ones(1, 1, 2, 2)
    assert float(l1(a, b)) == float(l1(a, b, weight)) == 0.25
    weight[..., 0, 0] = 5
    assert float(l1(a, b, weight)) == pytest.approx(5 / 8)


def test_no_strength_changes_nothing() -> None:
    x = pictures(3)
    warped, target = augment(x, STILL, torch.Generator().manual_seed(0))
    torch.testing.assert_close(warped, x, atol=1e-5, rtol=0)
    torch.testing.assert_close(target, x, atol=1e-5, rtol=0)


def test_the_generator_decides_everything() -> None:
    x = pictures(4)
    one, same, other = (augment(x, Augmentation(colour=0.1), torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one[0], same[0]) and torch.equal(one[1], same[1])
    assert not torch.equal(one[1], other[1])


def test_the_affine_moves_input_and_target_alike_and_the_warp_only_the_input() -> None:
    x = pictures(6)
    unwarped = Augmentation(warp=0, colour=0.1)
    plain, target = augment(x, unwarped, torch.Generator().manual_seed(1))
    assert torch.equal(plain, target) and not torch.allclose(target, x, atol=0.02)
    warped, target_of_warped = augment(x, Augmentation(warp=0.05), torch.Generator().manual_seed(1))
    assert torch.equal(target_of_warped, augment(x, Augmentation(warp=0), torch.Generator().manual_seed(1))[1])
    assert (warped - target_of_warped).abs().mean() > 0.005


def test_affine_is_a_similarity_within_its_strength() -> None:
    strength = Augmentation(rotation=20, zoom=0.1, shift=0.05, flip=0.5)
    matrices = affine(400, strength, torch.Generator().manual_seed(0))
    linear = matrices[:, :, :2]
    scale = torch.linalg.det(linear).abs().sqrt()
    assert scale.min() >= 1 / 1.1001 and scale.max() <= 1 / 0.8999
    square = linear @ linear.mT / scale.square()[:, None, None]
    torch.testing.assert_close(square, torch.eye(2).expand_as(square), atol=1e-5, rtol=0)
    mirrored = torch.linalg.det(linear) < 0
    assert 120 < mirrored.sum() < 280
    assert matrices[:, :, 2].abs().max() <= 0.1
    angle = torch.rad2deg(torch.atan2(linear[:, 1, 0], linear[:, 1, 1]))
    assert 15 < angle.abs().max() <= 20.001


def test_the_warp_is_smooth_and_of_its_strength() -> None:
    field = warp_field(200, 64, 0.03, torch.Generator().manual_seed(0))
    assert field.shape == (200, 64, 64, 2)
    assert float(field[:, ::63, ::63].std()) == pytest.approx(
        0.06, rel=0.1
    )  # at the grid's points; 2 is the whole width
    assert (field[:, 1:] - field[:, :-1]).abs().max() < 0.06 * 8 / 16


def test_a_matte_is_moved_but_not_recoloured() -> None:
    x = torch.cat((pictures(2), torch.ones(2, 1, 64, 64)), dim=1)
    warped, target = augment(x, Augmentation(colour=0.3), torch.Generator().manual_seed(0))
    torch.testing.assert_close(warped[:, 3], torch.ones(2, 64, 64))
    torch.testing.assert_close(target[:, 3], torch.ones(2, 64, 64))
    assert not torch.equal(target[:, :3], augment(x, Augmentation(), torch.Generator().manual_seed(0))[1][:, :3])


def test_the_originals_task_trains_each_decoder_on_its_identity() -> None:
    dark = faces(80) // 4
    caches = {
        name: crop_cache(crops, np.arange(80), np.zeros(80)) for name, crops in (("ann", dark), ("bo", 255 - dark))
    }
    task = Autoencode(caches, batch_size=4, width=4)
    module = task.build()
    generator, device = torch.Generator().manual_seed(0), torch.device("cpu")
    batch = task.batch(generator, device)
    assert batch["input"].shape == (8, 3, 64, 64) and task.images_per_batch == 8
    losses = task.losses(module, batch)
    assert losses["total"].item() == pytest.approx(losses["ann"].item() + losses["bo"].item())
    losses["ann"].backward(retain_graph=True)
    assert all(value.grad is None for value in module.decoders[1].parameters())
    assert module.decoders[0].picture.weight.grad.abs().sum() > 0
    optimizer = task.optimizer(module)
    assert optimizer.defaults["lr"] == 5e-5 and optimizer.defaults["betas"] == (0.5, 0.999)
    with torch.no_grad():
        before, picture = task.evaluate(module), task.preview(module)
    assert set(before) == {"ssim", "ssim_ann", "ssim_bo"} and picture.dtype == np.uint8 and picture.ndim == 3
    for group in optimizer.param_groups:
        group["lr"] = 3e-3
    for _ in range(40):
        optimizer.zero_grad()
        task.losses(module, task.batch(generator, device))["total"].backward()
        optimizer.step()
    with torch.no_grad():
        assert task.losses(module, batch)["total"] < 0.5 * losses["total"]
        assert task.score(task.evaluate(module)) == task.evaluate(module)["ssim"]
        assert module(batch["input"], 0).mean() < 0.35 and module(batch["input"], 1).mean() > 0.65
