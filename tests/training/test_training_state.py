"""What is kept of an optimizer comes back where its kernels look for it."""

import pytest
import torch

from photodouble.training.checkpoint import TrainingState
from photodouble.training.state import pack_optimizer, restore_optimizer


def trained(**values: bool) -> tuple[torch.optim.Optimizer, TrainingState]:
    layer = torch.nn.Linear(3, 1)
    optimizer = torch.optim.AdamW(layer.parameters(), 1e-2, **values)
    layer(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    tensors, numbers = pack_optimizer(optimizer)
    return optimizer, TrainingState(tensors, {"optimizer": numbers})


def on_meta(**values: bool) -> torch.optim.Optimizer:
    """The stand-in for an optimizer on a GPU: no kernel runs here, but tensors have a device that is not the CPU."""
    return torch.optim.AdamW(torch.nn.Linear(3, 1, device="meta").parameters(), 1e-2, **values)


def test_the_state_of_a_fused_optimizer_lies_with_its_parameters() -> None:
    _, state = trained(fused=True)
    optimizer = on_meta(fused=True)
    restore_optimizer(optimizer, state)
    assert len(optimizer.state) == 2
    for parameter, entries in optimizer.state.items():
        assert set(entries) == {"step", "exp_avg", "exp_avg_sq"}
        assert {value.device for value in entries.values()} == {parameter.device}


def test_the_steps_of_a_plain_optimizer_are_counted_on_the_cpu() -> None:
    _, state = trained(fused=False)
    optimizer = on_meta(fused=False)
    restore_optimizer(optimizer, state)
    for parameter, entries in optimizer.state.items():
        assert entries["step"].device.type == "cpu" and entries["exp_avg"].device == parameter.device


@pytest.mark.parametrize("fused", [True, False])
def test_the_state_goes_on_as_it_was(fused: bool) -> None:
    first, state = trained(fused=fused)
    second, _ = trained(fused=fused)
    restore_optimizer(second, state)
    for entries, known in zip(second.state.values(), first.state.values(), strict=True):
        for name, value in known.items():
            assert torch.equal(entries[name], value) and entries[name].data_ptr() != value.data_ptr()
    second.step()
    assert all(float(entries["step"]) == 2 for entries in second.state.values())
    assert all(float(entries["step"]) == 1 for entries in first.state.values())
