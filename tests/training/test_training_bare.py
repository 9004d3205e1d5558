"""Training's core needs PyTorch, NumPy and safetensors only, so that a GPU can be measured wherever PyTorch is."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from photodouble import networks
from photodouble.training.autoencode import Autoencode
from photodouble.training.data import crop_cache

ROOT = Path(__file__).parents[2]
ENOUGH = {"torch", "numpy", "safetensors"}

RUN = """
import runpy, sys

class Without:
    '''Finds what `finder` finds, but for what is blocked: that seems not to be installed.'''

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in blocked else self.finder.find_spec(name, path, target)

script, *arguments = sys.argv[1:]
blocked = set(arguments.pop(0).split(","))
sys.meta_path[:] = map(Without, sys.meta_path)
sys.argv = [script, *arguments]
runpy.run_path(script, run_name="__main__")
"""


def names_of(requirements: list[str] | None) -> set[str]:
    found = (re.match(r"[\w.-]+", line) for line in requirements or [] if "extra ==" not in line)
    return {match[0].lower().replace("_", "-") for match in found if match}


def absent() -> list[str]:
    """Modules of what photodouble requires and PyTorch does not."""
    needed, seen = set(ENOUGH), set()
    while needed - seen:
        name = (needed - seen).pop()
        seen.add(name)
        try:
            needed |= names_of(importlib.metadata.requires(name))
        except importlib.metadata.PackageNotFoundError:
            continue  # not on this machine
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ours = names_of(project["dependencies"]) - seen
    modules = importlib.metadata.packages_distributions()
    return sorted(module for module, dists in modules.items() if ours & {d.lower().replace("_", "-") for d in dists})


def bare(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, str(script), ",".join(absent()), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)


def test_the_gpu_benchmark_runs_on_a_bare_machine() -> None:
    done = bare(ROOT / "benchmarks" / "gpu.py", "--quick", "--models", "original", "lite", "standard")
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    names = [row[1].strip() for row in rows]
    assert names[:3] == ["original", "lite", "standard"] and "+ critic" in rows[3][3]
    assert all(float(row[5]) > 0 and float(row[6]) > 0 and not row[10].strip() for row in rows), done.stdout


def test_what_is_absent_is_absent(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    blocked = absent()
    assert {"cv2", "onnx", "av", "scipy"} <= set(blocked) and not ENOUGH & set(blocked)
    (tmp_path / "wants.py").write_text("import numpy\nimport cv2\n")
    assert "No module named 'cv2'" in bare(tmp_path / "wants.py").stderr


def test_the_originals_loss_is_one_graph_for_the_compiler() -> None:
    crops = crop_cache(torch.randint(256, (4, 64, 64, 3), dtype=torch.uint8).numpy(), torch.arange(4).numpy(), [0] * 4)
    task = Autoencode({"a": crops, "b": crops}, batch_size=1, width=2)
    module = networks.create("original", width=2)
    batch = task.batch(torch.Generator().manual_seed(0), torch.device("cpu"))
    caught = torch.compile(task.losses, fullgraph=True, backend="eager", dynamic=False)
    assert caught(module, batch)["total"].item() == pytest.approx(task.losses(module, batch)["total"].item(), rel=1e-5)
