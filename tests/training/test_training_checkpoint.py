"""Models on disk: whole or refused, at every moment of a save."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photodouble import networks
from photodouble.errors import BadInput
from photodouble.files import remove
from photodouble.training import model_json
from photodouble.training.checkpoint import TrainingState, load_model, load_state, save_model
from photodouble.training.model_json import Meta


def make(value: float) -> torch.nn.Module:
    module = networks.create("original", width=2)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(value)
    return module


def save(folder: Path, value: float) -> Meta:
    module = make(value)
    meta = Meta("original", networks.config_of(module), identities=["ann", "bo"], images=int(value * 100))
    return save_model(folder, module, meta, TrainingState({"x": torch.full((3,), value)}, {"value": value}))


def value_of(folder: Path) -> float:
    model = load_model(folder)
    state = load_state(folder, model.meta)
    values = {float(parameter.detach().flatten()[0]) for parameter in model.module.parameters()}
    assert values == {state.values["value"]} == {float(state.tensors["x"][0])}
    return state.values["value"]


def test_round_trip(tmp_path: Path) -> None:
    meta = save(tmp_path / "m", 0.25)
    model = load_model(tmp_path / "m")
    assert model.meta == meta and model.meta.identities == ["ann", "bo"]
    assert not model.module.training
    assert value_of(tmp_path / "m") == 0.25
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "model.json",
        "training_state.safetensors",
        "weights.safetensors",
    ]


def test_channels_last_weights_come_back_equal(tmp_path: Path) -> None:
    module = networks.create("original", width=2).to(memory_format=torch.channels_last)
    save_model(tmp_path / "m", module, Meta("original", networks.config_of(module)))
    for key, value in load_model(tmp_path / "m").module.state_dict().items():
        assert torch.equal(value, module.state_dict()[key]), key


def rewrite(path: Path, **changes: object) -> None:
    values = {**json.loads(path.read_text()), **changes}
    del values["sha256"]
    path.write_text(json.dumps({**values, "sha256": model_json.digest_of_values(values)}))


class Killed(BaseException):
    pass


def test_killed_before_any_step_of_a_save_it_still_loads_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop before the nth change of the folder, for every n; then a save over the ruins must work as well."""
    real, seen = os.replace, []
    for stop in range(20):
        folder, calls = tmp_path / str(stop), 0
        save(folder, 0.25)

        def replace(source: Path, target: Path, stop: int = stop) -> None:
            nonlocal calls
            if calls == stop:
                raise Killed
            calls += 1
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)
        try:
            save(folder, 0.5)
            finished = True
        except Killed:
            finished = False
        monkeypatch.setattr(os, "replace", real)
        seen.append(value_of(folder))
        assert seen[-1] in (0.25, 0.5)
        save(folder, 0.75)
        assert value_of(folder) == 0.75
        if finished:
            break
    assert finished and seen[0] == 0.25 and seen[-1] == 0.5 and len(seen) >= 5
    assert seen == sorted(seen)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors", "training_state.safetensors"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1), flip=st.integers(1, 255), cut=st.booleans())
def test_a_cut_or_altered_file_is_named(tmp_path: Path, name: str, where: float, flip: int, cut: bool) -> None:
    folder = tmp_path / "m"
    remove(folder)
    save(folder, 0.25)
    path = folder / name
    original = path.read_bytes()
    data = bytearray(original)
    at = min(int(where * len(data)), len(data) - 1)
    if cut:
        del data[at:]
    else:
        data[at] ^= flip
    path.write_bytes(bytes(data))
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    try:
        model = load_model(folder)
        load_state(folder, model.meta)
    except BadInput as error:
        assert name in str(error) and str(error).endswith(".")
    else:  # only white space of the description can change without a difference
        assert name == "model.json" and json.loads(bytes(data)) == json.loads(original)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors", "training_state.safetensors"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    save(tmp_path / "m", 0.25)
    (tmp_path / "m" / name).unlink()
    assert model_json.exists(tmp_path / "m")
    with pytest.raises(BadInput, match=name):
        load_state(tmp_path / "m", load_model(tmp_path / "m").meta)


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "m", 0.25)
    rewrite(tmp_path / "m" / "model.json", format=99)
    with pytest.raises(BadInput, match="later version"):
        load_model(tmp_path / "m")


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "m", 0.25)
    rewrite(tmp_path / "m" / "model.json", config={"identities": 2, "width": 4})
    with pytest.raises(BadInput, match=r"weights\.safetensors"):
        load_model(tmp_path / "m")


def test_a_damaged_description_is_not_written_over(tmp_path: Path) -> None:
    save(tmp_path / "m", 0.25)
    path = tmp_path / "m" / "model.json"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(BadInput, match=r"model\.json"):
        save(tmp_path / "m", 0.5)


def test_nothing_is_there(tmp_path: Path) -> None:
    assert not model_json.exists(tmp_path)
    with pytest.raises(BadInput, match="no model"):
        load_model(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="file"):
        save(tmp_path / "file" / "m", 0.25)


@pytest.mark.parametrize("moment", range(4))
@pytest.mark.parametrize("read", [load_model, model_json.check])
def test_a_model_is_read_while_a_training_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object], moment: int
) -> None:
    """Before the nth file is hashed the next checkpoint is written."""
    save(tmp_path / "m", 0.25)
    real, calls = model_json.file_digest, 0

    def interrupted(path: Path) -> str:
        nonlocal calls
        calls += 1
        if calls == moment + 1:
            monkeypatch.setattr(model_json, "file_digest", real)
            save(tmp_path / "m", 0.5)
        return real(path)

    monkeypatch.setattr(model_json, "file_digest", interrupted)
    found = read(tmp_path / "m")
    assert found is not None
    monkeypatch.setattr(model_json, "file_digest", real)
    assert value_of(tmp_path / "m") == (0.5 if calls > moment else 0.25)


def test_what_was_loaded_is_what_model_json_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next checkpoint is written between the look at the file and its loading."""
    save(tmp_path / "m", 0.25)
    real = model_json.find

    def then_saved(folder: Path, name: str, digest: str) -> Path:
        path = real(folder, name, digest)
        monkeypatch.setattr(model_json, "find", real)
        save(folder, 0.5)
        return path

    monkeypatch.setattr(model_json, "find", then_saved)
    model = load_model(tmp_path / "m")
    assert model.meta.images == 50 and float(next(model.module.parameters()).detach().flatten()[0]) == 0.5
