import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from photodouble import weights
from photodouble.consent import add_record
from photodouble.project import Project, init_project
from photodouble.stages import extract

STILLS = ("portrait", "selfie", "snapshot")


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """A busy machine's second core costs such small networks more than it gives."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def stills() -> list[Path]:
    """Three pictures of one AI-generated person, who is not the one in `small_plate`."""
    return [weights.path(f"person_p002_{name}") for name in STILLS]


@pytest.fixture(scope="session")
def _cast(tmp_path_factory: pytest.TempPathFactory, small_plate: Path, stills: list[Path]) -> Project:
    made = init_project(tmp_path_factory.mktemp("cast") / "project")
    for name, sources in (("double", [small_plate]), ("ada", stills)):
        add_record(made, name, "synthetic", "openpeople 0.1.2, AI-generated")
        list(extract.run(extract.ExtractConfig(made.root, name, sources)))
    return made


@pytest.fixture
def cast(_cast: Project, tmp_path: Path) -> Project:
    """A project with the faces of `double` (from `small_plate`) and `ada` (from `stills`), the test's own copy."""
    return copied(_cast, tmp_path / "cast")


@pytest.fixture(scope="session")
def copy_project() -> Callable[[Project, Path], Project]:
    """`copied`."""
    return copied


def copied(project: Project, root: Path) -> Project:
    """A copy of a project."""
    shutil.copytree(project.root, root)
    return Project(root)
