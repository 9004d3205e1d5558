"""One more identity learns in a trained model, and everybody else's weights stay bit by bit."""

import pickle
import shutil

import numpy as np
import pytest
import torch

from photodouble.errors import BadInput
from photodouble.training.checkpoint import load_model
from photodouble.training.engine import fit
from photodouble.training.grow import plan_growth
from photodouble.training.model_json import load_meta
from photodouble.training.pair_losses import Weights
from photodouble.training.refine import PairCache, Refine
from photodouble.training.run import Run
from photodouble.training.task import About, Budget

IMAGES = 12


def cache(seed: int) -> PairCache:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(3, 128, 128, 3)] * 3 + [(3, 128, 128)]
    pictures = [torch.randint(256, shape, generator=generator, dtype=torch.uint8) for shape in shapes]
    return PairCache(*pictures, np.array([False, False, True]))


def refine(names: list[str], **values) -> Refine:
    return Refine({name: cache(len(name)) for name in names}, batch_size=2, others=1, settings={"width": 4}, **values)


def run(task: Refine, folder, about: About, images: int, start=None):
    return list(fit(task, folder, Budget(images=images), about=about, start=start))


@pytest.fixture
def folder(tmp_path):
    about = About(["ada", "double"], {"ada": "1", "double": "2"}, {"ada": {}, "double": {}}, {"from": "bundled"})
    run(refine(["ada", "double"]), tmp_path, about, IMAGES)
    return tmp_path


def grown(folder, names: list[str], images: int):
    growth = plan_growth(folder, names, "refine")
    task = refine(growth.new, numbers=growth.numbers)
    about = growth.about(dict.fromkeys(growth.new, "3"), {name: {} for name in growth.new})
    return run(task, folder, about, images, growth.begin(task, about, 0, "cpu").start)


def test_only_the_new_decoder_learns(folder):
    before, meta = load_model(folder).module.state_dict(), load_meta(folder)
    events = grown(folder, ["ben", "double"], IMAGES)
    after = load_model(folder)
    assert after.meta.identities == ["ada", "double", "ben"]
    assert after.meta.consent == {"ada": "1", "double": "2", "ben": "3"}
    assert after.meta.start["added"] == ["ben"] and after.meta.start["weights"] == meta.used
    assert after.meta.start["start"] == {"from": "bundled"}
    state = after.module.state_dict()
    assert all(torch.equal(state[key], value) for key, value in before.items())
    mean = (before["decoders.0.mix0.0.weight"] + before["decoders.1.mix0.0.weight"]) / 2
    new = state["decoders.2.mix0.0.weight"]
    assert not torch.equal(new, mean)
    torch.testing.assert_close(new, mean, atol=0.05, rtol=0)  # it started there
    assert events[-1].images >= IMAGES and events[-1].metrics["ssim"] == after.meta.metrics["ssim"]


def test_an_interrupted_growth_goes_on(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "model"
    shutil.copytree(folder, other)
    grown(folder, ["ben"], IMAGES)
    grown(other, ["ben"], IMAGES // 2)
    events = grown(other, ["ben"], IMAGES)
    assert events[0].images == IMAGES // 2
    assert load_meta(other).identities == ["ada", "double", "ben"]
    a, b = (load_model(place).module.state_dict()["decoders.2.out.weight"] for place in (folder, other))
    torch.testing.assert_close(a, b, atol=0.05, rtol=0)


def test_two_can_be_added_and_then_another(folder):
    grown(folder, ["ben", "cleo"], IMAGES)
    grown(folder, ["dora", "ben"], IMAGES)
    assert load_meta(folder).identities == ["ada", "double", "ben", "cleo", "dora"]


def test_nobody_is_left_to_be_added(folder):
    with pytest.raises(BadInput, match="knows ada and double already"):
        plan_growth(folder, ["ada", "double"], "refine")
    with pytest.raises(BadInput, match="Nobody can be added"):
        plan_growth(folder, ["ben"], "autoencode")
    with pytest.raises(BadInput, match="There is no model"):
        plan_growth(folder / "none", ["ben"], "refine")


def test_a_task_with_a_critic_can_be_sent_to_other_processes_after_the_growth_began(tmp_path):
    values = {"weights": Weights(critic=0.1)}
    about = About(["ada", "double"], {"ada": "1", "double": "2"}, {"ada": {}, "double": {}})
    Run(refine(["ada", "double"], **values), 0).save(tmp_path, about)
    growth = plan_growth(tmp_path, ["ben"], "refine")
    task = refine(growth.new, numbers=growth.numbers, **values)
    begun = growth.begin(task, growth.about({"ben": "3"}, {"ben": {}}), 0, "cpu")
    sent, _ = pickle.loads(pickle.dumps((task, begun.start)))
    assert load_meta(tmp_path).identities == ["ada", "double", "ben"] and list(sent.caches) == ["ben"]
