"""A project: the folder that holds one production's identities, models and renders."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from photodouble.errors import BadInput
from photodouble.files import write_bytes

MARKER = "photodouble.toml"


@dataclass(frozen=True)
class Project:
    """Where things are inside the project folder `root`. Paths only: nothing is read or made here."""

    root: Path

    def identity(self, name: str) -> Path:
        """Folder of an identity."""
        return self.root / "identities" / name

    def consent(self, name: str) -> Path:
        """The consent record of an identity."""
        return self.identity(name) / "consent.toml"

    def faces(self, name: str) -> Path:
        """The FaceSet of an identity."""
        return self.identity(name) / "faces"

    def model(self, name: str) -> Path:
        """Folder of a model."""
        return self.root / "models" / name

    def render(self, output: Path) -> Path:
        """Folder of what is known about the render `output`: render.json, matte.mkv, chunks, report data.

        Outputs of one name in two folders are two renders.
        """
        return self.root / "renders" / f"{Path(output).name}-{_digest(located(output))}"

    def plate(self, path: Path) -> Path:
        """Folder of what is known about a plate, for all renders of it: its faces, the planned shot, the hands."""
        return self.root / "plates" / f"{Path(path).name}-{_digest(Path(path).absolute())}"


def located(path: Path) -> Path:
    """Where a file lies, by whatever way its folder was named; a link that stands under its own name stays one."""
    whole = Path(path).absolute()
    return whole.parent.resolve() / whole.name


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path).encode(errors="surrogateescape")).hexdigest()[:8]


def init_project(root: Path) -> Project:
    """Make `root` a project; an existing one is left as it is."""
    root = Path(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"Cannot make the project folder {root}: {error.strerror}.") from error
    if not (root / MARKER).exists():
        write_bytes(root / MARKER, b"# A photodouble project: identities/, models/ and renders/ lie here.\n")
    return Project(root)


def open_project(root: Path) -> Project:
    """Open the project at `root`.

    Raises:
        BadInput: `root` is not a project.
    """
    if not (Path(root) / MARKER).is_file():
        raise BadInput(f"{root} is not a photodouble project: make one with 'photodouble init {root}'.")
    return Project(Path(root))
