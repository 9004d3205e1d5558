"""Settings of compositing under a name, kept in the project: `presets/NAME.toml`."""

import re
import tomllib
from dataclasses import asdict, fields
from pathlib import Path

from photodouble.compositing import Settings
from photodouble.errors import BadInput
from photodouble.files import make_folder, write_bytes
from photodouble.project import Project


def preset_path(project: Project, name: str) -> Path:
    """Where a preset lies.

    Raises:
        BadInput: the name could not be a file's.
    """
    if not re.fullmatch(r"[\w][\w. -]*", name):
        raise BadInput(f"A preset cannot be called {name!r}: use letters, digits, spaces, dots and dashes.")
    return project.root / "presets" / f"{name}.toml"


def load_preset(project: Project, name: str) -> Settings:
    """The settings of a preset; what its file does not say is as usual.

    Raises:
        BadInput: there is none of that name, or its file is damaged or says what no setting is.
    """
    path = preset_path(project, name)
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        known = ", ".join(preset_names(project)) or "none"
        raise BadInput(
            f"There is no preset {name!r} in {project.root} (there are: {known}): make it with --save-preset."
        ) from None
    except (OSError, ValueError) as error:
        raise BadInput(f"Cannot read the preset {path}: mend or delete the file.") from error
    unknown = sorted(set(values) - {field.name for field in fields(Settings)})
    if unknown:
        raise BadInput(f"The preset {path} sets {', '.join(unknown)}, which is no setting: take it out.")
    try:
        return Settings(**values)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


def save_preset(project: Project, name: str, settings: Settings) -> Path:
    """Keep settings under a name; an older preset of that name is replaced."""
    path = preset_path(project, name)
    make_folder(path.parent)
    lines = [f"{key} = {float(value)}" for key, value in asdict(settings).items()]
    write_bytes(
        path, ("# Settings of compositing: lengths are parts of the face's width.\n" + "\n".join(lines) + "\n").encode()
    )
    return path


def preset_names(project: Project) -> list[str]:
    """Names of the project's presets."""
    return sorted(path.stem for path in (project.root / "presets").glob("*.toml"))
