"""The network that finds what covers a face learns."""

import torch

from photodouble.networks.cover import Cover


def test_it_gives_each_pixel_a_share_and_learns_to_see_what_it_is_shown():
    torch.manual_seed(0)
    network = Cover(widths=(8, 8, 8))
    seen, mask = torch.randn(4, 11, 64, 64) * 0.1, torch.zeros(4, 1, 64, 64)
    mask[:2, :, 8:56, 4:40] = 1
    seen[:, 6:9] += 2 * mask
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(15):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network.logits(seen), mask)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]
    found = network(seen)
    assert found.shape == (4, 1, 64, 64) and found.min() >= 0 and found.max() <= 1
    assert found[mask > 0.5].mean() > found[mask < 0.5].mean() + 0.3
