"""Losses are their formulas; the critic's and the network's gradients stay apart."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from photodouble.training.critic import Critic, adversarial
from photodouble.training.losses import (
    SCALES,
    focal_frequency,
    gradient_l1,
    ms_ssim,
    pyramid_l1,
    similarity_maps,
    ssim_map,
)


def smooth(count: int = 2, size: int = 128) -> torch.Tensor:
    noise = torch.rand(count, 3, size // 8, size // 8, generator=torch.Generator().manual_seed(1))
    return F.interpolate(noise, size=(size, size), mode="bicubic").clamp(0, 1)


def test_structural_similarity_over_scales_is_the_product_of_its_scales() -> None:
    a = smooth()
    b = (a + 0.1 * torch.randn(a.shape, generator=torch.Generator().manual_seed(2))).clamp(0, 1)
    wanted = torch.ones(2, 3)
    for scale, exponent in enumerate(SCALES):
        x, y = (F.interpolate(v, scale_factor=0.5**scale, mode="area") for v in (a, b))
        seen = ssim_map(x, y) if scale == 4 else similarity_maps(x, y)[1]
        wanted *= seen.mean((2, 3)) ** exponent
    torch.testing.assert_close(ms_ssim(a, b), wanted.mean(1))
    torch.testing.assert_close(ms_ssim(a, a), torch.ones(2))
    assert (ms_ssim(a, b) > ssim_map(a, b).mean((1, 2, 3))).all()  # noise is gone at coarse scales
    assert sum(SCALES) == pytest.approx(1, abs=1e-3)


def test_similarity_of_opposites_has_a_gradient_that_is_a_number() -> None:
    a = smooth().requires_grad_()
    (1 - ms_ssim(a, 1 - a.detach())).mean().backward()
    assert a.grad is not None and a.grad.isfinite().all()


def test_a_pyramid_counts_coarse_errors_more() -> None:
    a = smooth()
    torch.testing.assert_close(pyramid_l1(a, a + 0.1), torch.tensor(0.1))
    fine = 0.1 * (torch.arange(128) % 2 * 2 - 1.0).expand_as(a)
    torch.testing.assert_close(pyramid_l1(a, a + fine), torch.tensor(0.1 / 3))
    weight = torch.zeros(2, 1, 128, 128)
    weight[..., :64, :] = 1
    half = torch.cat([torch.full((2, 3, 64, 128), 0.2), torch.ones(2, 3, 64, 128)], 2)
    torch.testing.assert_close(pyramid_l1(a, a + half, weight), torch.tensor(0.2))


def test_slopes_are_sobels() -> None:
    a, b = smooth(), smooth().flip(3)
    weight = torch.rand(2, 1, 128, 128)
    error = (a - b).numpy().astype(np.float64)
    planes = error.reshape(-1, 128, 128)
    slopes = np.stack([[ndimage.sobel(plane, axis) for axis in (1, 0)] for plane in planes]).reshape(2, 6, 128, 128)
    slopes = slopes[..., 1:-1, 1:-1] / 8
    part = weight.numpy()[..., 1:-1, 1:-1]
    assert float(gradient_l1(a, b)) == pytest.approx(np.abs(slopes).mean(), rel=1e-4)
    assert float(gradient_l1(a, b, weight)) == pytest.approx((np.abs(slopes) * part).sum() / part.sum() / 6, rel=1e-4)
    assert float(gradient_l1(a, a + 0.3)) == pytest.approx(0, abs=1e-6)


def test_the_frequency_loss_is_its_formula() -> None:
    a, b = smooth(size=32), smooth(size=32).flip(2)
    size = np.abs(np.fft.fft2((a - b).numpy(), norm="ortho"))
    wanted = (size**3 / size.max((2, 3), keepdims=True)).mean()
    assert float(focal_frequency(a, b)) == pytest.approx(wanted, rel=1e-4)
    assert float(focal_frequency(a, a)) == 0
    a.requires_grad_()
    focal_frequency(a, b).backward()
    given = 2 * (a - b).detach()  # the gradient of a plain square error, which the weight can only lessen
    assert 0 < a.grad.norm() < given.norm() / a.numel()


def test_one_backward_pass_serves_both() -> None:
    torch.manual_seed(0)
    critic = Critic(4)
    drawn, real, lines = torch.rand(3, 2, 3, 64, 64)
    drawn.requires_grad_()
    convinces, learns = adversarial(critic, drawn, real, lines)
    wanted = torch.autograd.grad(convinces, drawn, retain_graph=True)[0]
    theirs = torch.autograd.grad(learns, list(critic.parameters()), retain_graph=True)
    (convinces + learns).backward()
    assert torch.equal(drawn.grad, wanted) and wanted.abs().sum() > 0
    for value, mine in zip(critic.parameters(), theirs, strict=True):
        assert torch.equal(value.grad, mine) and value.requires_grad


def test_a_critic_learns_to_tell_noise_from_pictures() -> None:
    torch.manual_seed(0)
    critic = Critic(8)
    optimizer = torch.optim.Adam(critic.parameters(), 2e-3)
    lines = torch.zeros(4, 3, 64, 64)
    for _ in range(40):
        real = smooth(4, 64).roll(int(torch.randint(64, ())), 3)
        _, learns = adversarial(critic, (real + 0.1 * torch.randn_like(real)).clamp(0, 1), real, lines)
        optimizer.zero_grad()
        learns.backward()
        optimizer.step()
    real = smooth(4, 64).flip(2)
    with torch.no_grad():
        assert critic(real, lines).shape == (4, 1, 7, 7)
        assert critic(real, lines).mean() > critic((real + 0.1 * torch.randn_like(real)).clamp(0, 1), lines).mean()


def test_the_critic_is_bounded_in_half_precision_too() -> None:
    critic = Critic(4)
    with torch.autocast("cpu", torch.bfloat16):
        convinces, learns = adversarial(critic, *torch.rand(3, 2, 3, 64, 64))
    assert convinces.isfinite() and learns.isfinite()
    learns.backward()
