"""The picture of the worst held-out faces, and the figures that come with it."""

import time

import numpy as np
import torch
from toy import Toy

from photodouble.training.engine import fit
from photodouble.training.losses import l1, l1_each
from photodouble.training.model_json import WORST
from photodouble.training.pair_cache import PairCache
from photodouble.training.refine import Refine
from photodouble.training.task import Budget, Evaluated, Pace
from photodouble.training.worst import LINE, SIZE, lowest, worst_sheet


def test_the_lowest_are_taken_worst_first_and_not_side_by_side():
    scores = torch.ones(40)
    scores[[10, 11, 12, 30, 20, 5, 36, 0]] = torch.tensor([0.1, 0.05, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    assert lowest(scores) == [11, 30, 20, 5, 36, 0]
    assert lowest(torch.tensor([0.3, 0.1, 0.2])) == [1, 2, 0]
    assert len(lowest(torch.rand(7))) == 6


def test_the_sheet_shows_the_worst_face_first_with_its_figures():
    pictures = torch.zeros(10, 3, 32, 32)
    pictures[7] = torch.tensor([1.0, 0.5, 0.0])[:, None, None]
    scores = torch.ones(10)
    scores[7] = 0
    sheet = worst_sheet([("result", pictures), ("truth", 1 - pictures)], scores, [str(k) for k in range(10)])
    assert sheet.shape[0] == 2 * (SIZE + LINE) + LINE
    assert sheet.dtype == np.uint8
    assert sheet[SIZE // 2, SIZE // 2].tolist() == [255, 128, 0]
    assert sheet[SIZE + LINE + SIZE // 2, SIZE // 2].tolist() == [0, 128, 255]
    assert (sheet[SIZE : SIZE + LINE, :SIZE] < 128).any()  # its row's name
    assert (sheet[-LINE:, :SIZE] < 128).any()


def test_an_error_of_each_picture_has_the_mean_of_all():
    a, b, weight = torch.rand(5, 3, 8, 8), torch.rand(5, 3, 8, 8), torch.ones(5, 1, 8, 8)
    assert torch.allclose(l1_each(a, b, weight).mean(), l1(a, b, weight))
    assert l1_each(a, b, 0 * weight).tolist() == [0] * 5


def test_refine_judges_every_identity_and_draws_its_worst():
    def cache(light: int) -> PairCache:
        mesh = (torch.rand(6, 128, 128, 3, generator=torch.Generator().manual_seed(light)) * 150).byte()
        return PairCache(mesh, torch.zeros_like(mesh), mesh + light, mesh[..., 0], np.arange(6) >= 2)

    task = Refine({"ada": cache(3), "double": cache(90)}, settings={"width": 4})
    module = task.build().eval()
    with torch.no_grad():
        figures, sheet = task.evaluate(module), task.worst(module)
    assert figures["ssim"] > figures["ssim_double"]
    assert sheet.shape[0] == 3 * (SIZE + LINE) + LINE


def test_further_figures_are_taken_of_the_average_and_at_the_end(tmp_path):
    asked = []

    def further(module: torch.nn.Module) -> dict[str, float]:
        asked.append((module.training, torch.is_grad_enabled()))
        return {"swap_likeness": float(len(asked)), "ssim": -1.0}

    pace = Pace(tick=0, evaluate=0, evaluate_share=1e9)
    events = list(fit(Toy(), tmp_path / "m", Budget(images=8), pace=pace, further=further))
    rows = [event.metrics for event in events if isinstance(event, Evaluated)]
    assert asked and set(asked) == {(False, False)}
    assert rows[-1]["swap_likeness"] == len(asked)
    assert rows[-1]["ssim"] != -1  # the task's own figures go first
    assert events[-1].metrics == rows[-1]
    assert (tmp_path / "m" / WORST).read_bytes().startswith(b"\x89PNG")


def test_the_end_is_looked_at_even_if_it_was_judged_a_moment_ago(tmp_path):
    def slow(module: torch.nn.Module) -> dict[str, float]:
        time.sleep(1.5)
        return {"swap_likeness": 1.0}

    pace = Pace(tick=0, evaluate=0, evaluate_share=6)  # judged at each step, and not looked at in the last one
    events = list(fit(Toy(), tmp_path / "m", Budget(images=8), pace=pace, further=slow))
    assert events[-1].metrics["swap_likeness"] == 1
