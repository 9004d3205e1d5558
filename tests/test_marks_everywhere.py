"""No option, environment variable or setting writes an unmarked output: every way out of a render is walked.

Three walks. The source: in the stages nothing but `finish` is given an output's name to write, nothing decides whether
`finish` is called, and whoever else makes pictures is listed here with the reason why they are no outputs. The names:
of all configs, options, variables and settings. The doing: every codec, and every variable and setting with values that
somebody might hope to switch marks off with: what comes out is marked, or nothing comes out.
"""

import ast
import dataclasses
import functools
import importlib
import os
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.main import get_command

import photodouble
from photodouble import stages
from photodouble.cli.commands import app
from photodouble.errors import BadInput
from photodouble.media import CODECS, ClipWriter, open_clip
from photodouble.provenance import Marking, finish, read_manifest, signer_for
from photodouble.provenance.settings import KEYS, VARIABLES

SOURCE = Path(photodouble.__file__).parent
MARKING = Marking("shot", "synthetic", ["ab" * 32])

OUTPUTS = {"output", "matte"}
"""Names of a config's fields under which an output appears."""

MAKES = {
    "ClipWriter",
    "VideoSink",
    "MatteWriter",
    "write_picture",
    "write_part",
    "write_frame",
    "imwrite",
    "imencode",
    "VideoWriter",
}
MAKES |= {"ImageOutput", "open_output", "write_frame", "clip_pieces", "join_clip", "copy_mattes"}
WRITES = MAKES | {
    "write_bytes",
    "write_text",
    "write_json",
    "write_report",
    "write_inspection",
    "atomic",
    "touch",
    "mkdir",
}
WRITES |= {"copy", "copy2", "copyfile", "copyfileobj", "copytree", "move", "rename", "replace", "symlink_to", "link_to"}
WRITES |= {"hardlink_to", "symlink", "link", "open"}

NOT_RENDERS = {
    "stages/export.py": "an ONNX file; what it is used for is its user's to mark, as its terms say",
    "stages/pretrain.py": "a model",
    "stages/report.py": "a page beside the output",
    "stages/demo.py": "a folder to work in",
}
"""Stages in which an `output` is something else than a picture."""

PICTURES = {
    "stages/convert_chunks.py": "chunks, which go through finish once they are joined; mattes, grey, in the project",
    "stages/convert.py": "joins them; all of it goes through finish, but the mattes that stay in the project",
    "stages/convert_preview.py": "go through finish together",
    "consent/binding.py": "pictures of a person's footage, nothing altered, in the project",
    "training/engine.py": "previews inside the project's model folder",
    "evaluation/pictures.py": "small frames inside a page",
    "evaluation/footage_page.py": "small crops inside a page",
    "evaluation/report.py": "small frames inside a page",
    "consent/policy.py": "footage as JPEG in memory, as the nudity model wants it",
    "faces/faceset.py": "crops of the footage itself, nothing altered",
}
"""Who makes pictures, outside the room that writes where it is told (media/): and why they are no outputs."""


def called(node: ast.Call) -> str:
    """The last part of a called function's name."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def mentions(node: ast.AST, names: set[str]) -> bool:
    """Whether an expression is made from an output's path: a variable of that name, or a config's field.

    Its suffix or its name alone make another path.
    """
    if isinstance(node, ast.Attribute) and node.attr in ("suffix", "name", "stem"):
        return False
    if isinstance(node, ast.Call) and called(node) in INSIDE:
        return False
    if isinstance(node, ast.Attribute) and node.attr in OUTPUTS:
        return True
    if isinstance(node, ast.Name):
        return node.id in names
    return any(mentions(part, names) for part in ast.iter_child_nodes(node))


def derived(function: ast.AST) -> set[str]:
    """Variables of a function that are made from an output's name."""
    names = {"output"}
    for _ in range(3):
        for node in ast.walk(function):
            value, targets = None, []
            if isinstance(node, ast.Assign):
                value, targets = node.value, node.targets
            elif isinstance(node, ast.For):
                value, targets = node.iter, [node.target]
            elif isinstance(node, ast.With):
                for item in node.items:
                    if item.optional_vars is not None and mentions(item.context_expr, names):
                        names |= {part.id for part in ast.walk(item.optional_vars) if isinstance(part, ast.Name)}
            # Only paths are followed: what a call returns is something else, unless it makes a path of one.
            if (
                value is not None
                and (not isinstance(value, ast.Call) or called(value) in PATHS)
                and mentions(value, names)
            ):
                names |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return names


PATHS = {"Path", "with_name", "with_suffix", "with_stem", "joinpath", "resolve", "absolute"}
# A render's folder in the project is named after the output: what lies in it is not the output.
INSIDE = {"render", "plate"}


def direct_writes(source: str) -> list[str]:
    """Calls in which something other than `finish` is given an output's name to write, as `function: call`."""
    found = []
    for function in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)):
        names = derived(function)
        for node in ast.walk(function):
            if not isinstance(node, ast.Call) or called(node) not in WRITES:
                continue
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            if isinstance(node.func, ast.Attribute):
                given.append(node.func.value)
            if any(mentions(item, names) for item in given):
                found.append(f"{function.name}: {ast.unparse(node)}")
    return found


def conditional_marks(source: str) -> list[str]:
    """Calls of `finish` that only happen under a condition other than that there is such an output at all."""
    found = []

    def walk(node: ast.AST, conditions: list[str]) -> None:
        for child in ast.iter_child_nodes(node):
            inner = conditions
            if isinstance(node, ast.If) and child is not node.test:
                inner = [*conditions, ast.unparse(node.test)]
            if isinstance(node, ast.IfExp | ast.BoolOp | ast.ExceptHandler | ast.While | ast.Match):
                inner = [*conditions, type(node).__name__]
            if isinstance(child, ast.Call) and called(child) == "finish" and isinstance(child.func, ast.Name):
                found.extend(words for words in inner if words not in ("config.matte", "config.matte is not None"))
            walk(child, inner)

    walk(ast.parse(source), [])
    return found


@functools.cache
def sources() -> dict[str, str]:
    return {str(file.relative_to(SOURCE)): file.read_text(encoding="utf-8") for file in sorted(SOURCE.rglob("*.py"))}


@functools.cache
def nodes() -> list[tuple[str, ast.AST]]:
    """Every node of the source that one of the walks below asks for, with its file: parsed once."""
    kinds = (ast.Call, ast.Attribute, ast.Constant)
    return [
        (name, node)
        for name, text in sources().items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, kinds)
    ]


def files(room: str) -> Iterator[tuple[str, str]]:
    return ((name, text) for name, text in sources().items() if name.startswith(f"{room}/"))


def test_in_the_stages_only_finish_writes_under_an_outputs_name():
    wrong = {name: direct_writes(source) for name, source in files("stages") if name not in NOT_RENDERS}
    # What finds out whether the output can be written makes an empty file of another name, and removes it.
    name = "stages/convert_ready.py"
    wrong[name] = [words for words in wrong[name] if "probe.touch()" not in words]
    assert {name: calls for name, calls in wrong.items() if calls} == {}


def test_nothing_decides_whether_an_output_is_marked():
    stages_that_finish = [name for name, source in files("stages") if "finish(" in source and conditional_marks(source)]
    assert stages_that_finish == []


def test_a_stage_that_renders_ends_in_finish():
    rendering = [
        name
        for name, source in files("stages")
        if any(
            isinstance(node, ast.Call) and called(node) in ("ClipWriter", "VideoSink", "clip_pieces", "join_clip")
            for node in ast.walk(ast.parse(source))
        )
    ]
    assert rendering
    everything = "".join(source for name, source in files("stages"))
    assert re.search(r"\bfinish\(\w+, config\.output,", everything)
    assert re.search(r"\bfinish\(\w+, config\.matte,", everything)


def test_whoever_makes_pictures_is_known():
    makers = {
        name
        for name, node in nodes()
        if not name.startswith("media/") and isinstance(node, ast.Call) and called(node) in MAKES
    }
    assert makers - PICTURES.keys() == set(), "say in PICTURES why these pictures are no unmarked outputs"


@pytest.mark.parametrize(
    "source",
    [
        "def run(config):\n    with ClipWriter(config.output, clip) as writer: pass",
        "def run(config):\n    part = config.output.with_suffix('.tmp')\n    shutil.move(part, there)",
        "def run(config):\n    unsigned.rename(config.output)",
        "def run(config):\n    for path in (config.output, config.matte):\n        path.write_bytes(b'')",
        "def run(config):\n    with atomic(config.output) as part:\n        cv2.imwrite(str(part), image)",
        "def save(output):\n    name = Path(output)\n    os.replace(part, name)",
    ],
)
def test_the_walk_sees_a_stage_that_writes_around_finish(source):
    assert direct_writes(source)


def test_the_walk_lets_pass_what_is_no_output():
    source = (
        "def run(config):\n    folder = project.render(config.output)\n"
        "    with ClipWriter(folder / 'x.mp4', clip): pass\n"
        "    finish(folder / 'x.mp4', config.output, marking)"
    )
    assert not direct_writes(source) and not conditional_marks(source)


@pytest.mark.parametrize(
    "source",
    [
        "def run(config):\n    if config.mark:\n        finish(a, config.output, m)",
        "def run(config):\n    if 'PHOTODOUBLE_DRAFT' not in os.environ:\n        finish(a, b, m)",
        "def run(config):\n    config.draft or finish(a, b, m)",
        "def run(config):\n    finish(a, b, m) if config.sign else None",
    ],
)
def test_the_walk_sees_a_mark_that_depends_on_something(source):
    assert conditional_marks(source)


# ---- names

MARK = r"(mark|sign|label|water|manifest|c2pa|provenance|consent|gate|proof|seal|finish|publish)"
OFF = r"(no|non|not|un|off|without|skip|disable|omit|strip|hide|bypass|ignore|draft|clean|bare|raw|plain|remove|drop)"
SWITCH = re.compile(
    rf"\b{OFF}[-_ ]*\w*{MARK}|{MARK}\w*[-_ ]*(off|none|disabled|less|free)\b|^(water)?{MARK}(ed|ing)?$", re.IGNORECASE
)
HARMLESS = {"label", "consent", "unsigned"}
"""`--label` chooses a label beside those that are required; `consent` is a group of commands."""


def configs() -> Iterator[str]:
    for module in pkgutil.iter_modules(stages.__path__):
        found = vars(importlib.import_module(f"photodouble.stages.{module.name}"))
        for name, thing in found.items():
            if name.endswith("Config") and dataclasses.is_dataclass(thing):
                yield from (f"{name}.{field.name}" for field in dataclasses.fields(thing))


def options() -> Iterator[str]:
    def walk(command, path):
        for parameter in command.params:
            yield from (f"{path} {name}" for name in (*parameter.opts, *parameter.secondary_opts))
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, f"{path} {name}")

    yield from walk(get_command(app), "photodouble")


def variables() -> set[str]:
    """Every environment variable of ours that the source names, and every name that it asks the environment for."""
    found = set()
    for _, node in nodes():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set(re.findall(r"\bPHOTODOUBLE_[A-Z_]+\b", node.value))
    return found


def test_no_config_option_variable_or_setting_is_named_like_a_switch():
    last = [(name, re.split(r"[. ]", name)[-1].lstrip("-")) for name in (*configs(), *options())]
    last += [(name, name.removeprefix("PHOTODOUBLE_").lower()) for name in variables()]
    last += [(f"[marks] {name}", name) for name in KEYS]
    assert len(last) > 60
    assert [name for name, word in last if SWITCH.search(word) and word not in HARMLESS] == []


@pytest.mark.parametrize(
    "word",
    ["no-mark", "unmarked", "skip_signing", "watermark", "without-label", "mark", "sign", "NO_WATERMARK", "label-off"],
)
def test_a_switch_would_be_seen(word):
    assert SWITCH.search(word)


def test_marks_have_just_these_settings():
    assert set(KEYS) == {"certificate", "key", "timestamp", "anchors", "producer"}
    assert set(VARIABLES) < set(KEYS)
    assert variables() - set(VARIABLES.values()) <= {
        "PHOTODOUBLE_HOME",
        "PHOTODOUBLE_CACHE",
        "PHOTODOUBLE_WEIGHTS",
        "PHOTODOUBLE_CONSENT_KEY",
    }


# ---- doing


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in VARIABLES.values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PHOTODOUBLE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of 64x48."""
    folder = tmp_path_factory.mktemp("pictures")
    for index in range(3):
        image = np.random.default_rng(index).integers(0, 255, (48, 64, 3), np.uint8)
        assert cv2.imwrite(str(folder / f"{index}.png"), image)
    return folder


def rendered(pictures: Path, path: Path, codec: str | None = None) -> Path:
    clip = open_clip(pictures)
    with ClipWriter(path, clip, codec) as writer:
        for frame in clip.frames():
            writer.write(frame)
    return path


WAYS = [(name, suffix) for name, entry in CODECS.items() for suffix in (entry.suffixes if entry.encoder else ("",))]


@pytest.mark.parametrize(("codec", "suffix"), WAYS, ids=[f"{codec}{suffix}" for codec, suffix in WAYS])
def test_every_codec_in_every_container_comes_out_marked(pictures: Path, tmp_path: Path, codec: str, suffix: str):
    output = tmp_path / f"out{suffix}"
    try:
        work = rendered(pictures, tmp_path / f"work{suffix}", codec)
    except (BadInput, ValueError) as error:  # FFmpeg's .m4v holds no HEVC
        pytest.skip(str(error))
    finish(work, output, MARKING)
    written = [file for file in output.iterdir() if file.suffix != ".c2pa"] if output.is_dir() else [output]
    assert len(written) == (1 if suffix else 3)
    for file in written:
        found = read_manifest(file)
        assert (found.state, found.altered) == ("valid", True)


HOPES = ["", "0", "off", "no", "none", "false", "/dev/null"]


def marked_or_refused(pictures: Path, folder: Path, project: Path | None = None) -> bool:
    """Render and finish: True if the output is marked, False if there is none; anything else fails."""
    output = folder / "out.png"
    work = folder / "work.png"
    work.write_bytes((pictures / "0.png").read_bytes())
    try:
        finish(work, output, MARKING, signer_for(project))
    except BadInput:
        assert not output.exists()
        return False
    found = read_manifest(output, b"")
    assert (found.state, found.altered) == ("valid", True)
    return True


@pytest.mark.parametrize("name", sorted(variables() - {"PHOTODOUBLE_HOME"}))
def test_no_variable_switches_marks_off(name: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    done = []
    for value in HOPES:
        monkeypatch.setenv(name, value)
        done.append(marked_or_refused(pictures, tmp_path))
        (tmp_path / "out.png").unlink(missing_ok=True)
    assert done[0]  # an empty variable is none


@pytest.mark.parametrize("key", [*KEYS, "enabled", "sign", "mark", "watermark", "level"])
def test_no_setting_switches_marks_off(key: str, pictures: Path, tmp_path: Path):
    for value in ("false", "0", "''", "'off'", "'none'", "[]"):
        (tmp_path / "photodouble.toml").write_text(f"[marks]\n{key} = {value}\n")
        marked_or_refused(pictures, tmp_path, tmp_path)
        (tmp_path / "out.png").unlink(missing_ok=True)


def test_the_environment_is_read_in_known_places_only():
    """Whoever reads the environment elsewhere could look for a switch there."""
    readers = {name for name, node in nodes() if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")}
    assert readers <= {
        "cli/__init__.py",
        "provenance/settings.py",
        "provenance/signer.py",
        "consent/keys.py",
        "consent/seen.py",
        "files.py",
        "weights/cache.py",
        "weights/fetch.py",
    }
    assert os.environ.get("PHOTODOUBLE_HOME")
