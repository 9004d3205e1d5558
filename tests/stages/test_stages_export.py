"""Export: the ONNX file does what the model does, for one person only, and says on what terms."""

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from photodouble import __version__, networks
from photodouble.cli import main
from photodouble.consent import add_record, digest, require
from photodouble.errors import BadInput, PhotodoubleError, Refused
from photodouble.project import init_project
from photodouble.stages.events import Result, Started, Warned
from photodouble.stages.export import HALF_TOLERANCE, TOLERANCE, ExportConfig, run
from photodouble.training.checkpoint import save_model
from photodouble.training.model_json import Meta

SMALL = {  # settings that make a network quick to run
    "original": {"width": 4},
    "lite": {"width": 8},
    "standard": {"widths": (8, 8, 16, 16, 16), "depth": 1},
    "fine": {"widths": (8, 8, 16, 16, 16), "depth": 1, "outer": 8},
}
PEOPLE = ("ada", "double")


def one_sentence(error: BaseException) -> bool:
    text = str(error)
    return "\n" not in text and text.endswith(".") and not re.search(r"\. [A-Z]", text)


def make_model(project, name, folder=None, people=PEOPLE):
    """A network with random weights, as a trained model of the project; decoders that start as zero are not zero."""
    torch.manual_seed(3)
    module = networks.create(name, identities=len(people), **SMALL.get(name, {})).eval()
    with torch.no_grad():
        for value in module.parameters():
            value.add_(0.05 * torch.randn_like(value))
    consent = {person: digest(require(project, person, date.today())) for person in people}
    meta = Meta(name, json.loads(json.dumps(networks.config_of(module))), list(people), consent)
    return module, save_model(folder or project.model(name), module, meta)


def result(events):
    *_, last = events
    assert isinstance(last, Result)
    return last.values


def entries(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


@pytest.fixture
def lite(project, tmp_path):
    """A project with a tiny `lite`, and how to export Ada from it."""
    module, meta = make_model(project, "lite")
    return ExportConfig(project.root, "lite", "ada", tmp_path / "ada.onnx"), module, meta, project


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", networks.names())
def test_the_file_does_what_the_network_does(name, half, project, tmp_path):
    module, _ = make_model(project, name)
    output = tmp_path / "double.onnx"
    events = list(run(ExportConfig(project.root, name, "double", output, half=half)))
    values = result(events)
    assert isinstance(events[0], Started) and events[0].plan["disk_bytes"] > output.stat().st_size / 2
    assert values["difference"] < values["tolerance"] == (HALF_TOLERANCE if half else TOLERANCE)
    assert list(tmp_path.glob("*.onnx")) == [output] and values["bytes"] == output.stat().st_size

    session = onnxruntime.InferenceSession(str(output), providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_inputs()] == values["inputs"]
    assert {entry.type for entry in [*session.get_inputs(), *session.get_outputs()]} == {"tensor(float)"}
    given = torch.rand(len(values["inputs"]), 2, 3, module.size, module.size)
    found = session.run(values["outputs"], dict(zip(values["inputs"], given.numpy(), strict=True)))
    with torch.no_grad():
        drawn, other = (module(*given, identity=number) for number in (1, 0))
    pairs = (drawn, other) if isinstance(drawn, tuple) else ((drawn,), (other,))
    assert values["outputs"] == ["picture", "matte"][: len(pairs[0])]
    for which, same in zip(pairs, (True, False), strict=True):
        wanted = [which[0].clamp(0, 1), *(logits.sigmoid() for logits in which[1:])]
        apart = max(float(np.abs(a - b.numpy()).max()) for a, b in zip(found, wanted, strict=True))
        assert (apart < values["tolerance"]) == same, apart


@pytest.mark.parametrize("name", ["lite", "original"])
def test_it_is_compared_on_held_out_faces(name, cast, tmp_path):
    make_model(cast, name)
    events = list(run(ExportConfig(cast.root, name, "double", tmp_path / "double.onnx")))
    assert not [event for event in events if isinstance(event, Warned)]
    assert result(events)["crops"] == 4
    assert 0 <= result(events)["difference"] < TOLERANCE


def test_without_faces_it_is_compared_on_random_pictures_and_says_so(lite):
    events = list(run(lite[0]))
    assert ["no faces of ada" in event.message for event in events if isinstance(event, Warned)] == [True]
    assert result(events)["crops"] == 0


def test_the_file_carries_terms_origin_and_layout(lite):
    config, _, meta, project = lite
    add_record(
        project, "ada", "release", "contract 12 with Ms. Byron", scope="one short film", expires=date(2090, 12, 31)
    )
    values = result(run(config))
    told = entries(config.output)
    record = require(project, "ada", date.today())
    assert told["photodouble.consent"] == values["consent"] == digest(record) != meta.consent["ada"]
    assert json.loads(told["photodouble.trained_under"]) == sorted(meta.consent.values())
    assert told["photodouble.consent.basis"] == "release"
    assert told["photodouble.consent.scope"] == "one short film"
    assert told["photodouble.consent.expires"] == "2090-12-31"
    assert told["photodouble.weights"] == meta.used
    assert told["photodouble.architecture"] == "lite"
    assert json.loads(told["photodouble.config"]) == meta.config
    assert told["photodouble.version"] == __version__
    assert told["photodouble.identity"] == "ada"
    assert "consent" in told["photodouble.terms"] and "mark every picture" in told["photodouble.terms"]
    assert told["model_license"] == told["photodouble.terms"]
    layout = [json.loads(told[f"photodouble.{key}"]) for key in ("inputs", "outputs")]
    assert [[entry["name"] for entry in entries] for entries in layout] == [["mesh", "lines"], ["picture", "matte"]]
    assert layout[1][1]["shape"] == ["batch", 1, 128, 128] and layout[1][1]["range"] == [0, 1]
    data = config.output.read_bytes()
    assert b"Byron" not in data  # where the agreement lies is nobody's business
    assert __file__.rpartition("/tests/")[0].encode() not in data


def test_a_record_without_scope_and_end_says_so(lite):
    list(run(lite[0]))
    told = entries(lite[0].output)
    assert (told["photodouble.consent.scope"], told["photodouble.consent.expires"]) == ("not stated", "does not end")


@pytest.mark.parametrize(("person", "other"), [("ada", 1), ("double", 0)])
def test_only_the_wanted_persons_decoder_is_in_the_file(lite, person, other):
    config, module, _, _ = lite
    list(run(replace(config, identity=person)))
    data = config.output.read_bytes()
    own = module.decoders[1 - other].state_dict()
    assert all(value.numpy().tobytes() in data for value in own.values())
    assert not any(value.numpy().tobytes() in data for value in module.decoders[other].state_dict().values())


def test_half_is_half_the_size(lite):
    config, _, _, _ = lite
    whole = result(run(config))
    half = result(run(replace(config, half=True)))
    assert half["bytes"] < 0.6 * whole["bytes"]
    assert {numpy_helper.to_array(value).dtype for value in onnx.load(config.output).graph.initializer} == {
        np.dtype("float16")
    }
    assert (half["precision"], entries(config.output)["photodouble.precision"]) == ("float16", "float16")
    assert whole["difference"] < half["difference"]


def test_an_earlier_export_is_replaced_by_the_same_bytes(lite):
    config, _, _, _ = lite
    list(run(config))
    before = config.output.read_bytes()
    list(run(config))
    assert config.output.read_bytes() == before


def test_a_models_folder_will_do_with_the_right_project(lite, tmp_path):
    config, _, _, project = lite
    make_model(project, "lite", folder=tmp_path / "elsewhere")
    assert result(run(replace(config, model=str(tmp_path / "elsewhere"))))["model"] == str(tmp_path / "elsewhere")


def test_refused_where_the_same_name_is_another_person(lite, tmp_path):
    config, _, _, project = lite
    stranger = init_project(tmp_path / "stranger")
    add_record(stranger, "ada", "research", "another Ada")
    with pytest.raises(Refused, match="--project") as told:
        list(run(replace(config, project=stranger.root, model=str(project.model("lite")))))
    assert one_sentence(told.value)
    assert not config.output.exists()


def test_refused_without_consent(lite):
    config, _, _, project = lite
    project.consent("ada").unlink()
    with pytest.raises(Refused, match="consent add ada") as told:
        list(run(config))
    assert one_sentence(told.value)
    assert not config.output.exists()


def test_refused_when_consent_has_ended(lite):
    config, _, _, project = lite
    add_record(project, "ada", "release", "contract 12", expires=date(2020, 1, 1))
    with pytest.raises(Refused, match="expired on 2020-01-01"):
        list(run(config))
    assert not config.output.exists()


def foreign(path: Path) -> None:
    """A model that photodouble did not write."""
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "other", [], [])), path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"project": "nowhere"}, "is not a photodouble project"),
        ({"model": "nothing"}, "no model in .*models/nothing"),
        ({"model": ""}, "no model in"),
        ({"model": "mesh"}, "mesh is not trained"),
        ({"identity": "../ada"}, "cannot name an identity"),
        ({"output": "ada.mp4"}, "ends in .onnx"),
        ({"output": "none/ada.onnx"}, "none does not exist"),
        ({"output": "folder.onnx"}, "folder.onnx is there already"),
        ({"output": "text.onnx"}, "text.onnx is there already"),
        ({"output": "empty.onnx"}, "empty.onnx is there already"),
        ({"output": "foreign.onnx"}, "foreign.onnx is there already"),
    ],
)
def test_bad_input_is_one_sentence_and_changes_nothing(lite, tmp_path, change, told):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "text.onnx").write_text("my notes\n")
    (tmp_path / "empty.onnx").touch()
    foreign(tmp_path / "foreign.onnx")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    changed = {key: tmp_path / value if key in ("output", "project") else value for key, value in change.items()}
    with pytest.raises(BadInput, match=told) as error:
        list(run(replace(lite[0], **changed)))
    assert one_sentence(error.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_an_identity_that_the_model_does_not_know_is_bad_input(lite):
    config, _, _, project = lite
    add_record(project, "eve", "synthetic", "nobody")
    with pytest.raises(BadInput, match="knows ada, double, not eve") as told:
        list(run(replace(config, identity="eve")))
    assert one_sentence(told.value)


def test_a_damaged_model_is_bad_input(lite):
    config, _, _, project = lite
    weights = project.model("lite") / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(BadInput, match=r"weights\.safetensors") as told:
        list(run(config))
    assert one_sentence(told.value)
    assert not config.output.exists()


@pytest.mark.parametrize(("value", "half"), [(float("nan"), False), (1e6, True)])
def test_a_file_that_differs_is_not_kept(lite, value, half):
    """Weights that are no numbers, and such as half precision cannot hold."""
    config, module, meta, project = lite
    with torch.no_grad():
        module.encoder.stem[1][0].bias[0] = value
    save_model(project.model("lite"), module, meta)
    before = result(run(replace(config, output=config.output.with_name("whole.onnx")))) if half else None
    assert not half or before["difference"] < TOLERANCE
    with pytest.raises(PhotodoubleError, match="without --half" if half else "report") as told:
        list(run(replace(config, half=half)))
    assert one_sentence(told.value)
    assert not config.output.exists() and not list(config.output.parent.glob("*.part*"))


def test_the_command_prints_its_result(lite, capsys):
    config, _, _, project = lite
    words = ["export", "lite", "--to", "ada", "--output", str(config.output), "--project", str(project.root)]
    assert main([*words, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["output"] == str(config.output) and values["difference"] < values["tolerance"]
    assert main(words) == 0
    assert str(config.output) in capsys.readouterr().out
    project.consent("ada").unlink()
    assert main(words) == 3
