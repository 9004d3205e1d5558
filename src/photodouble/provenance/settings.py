"""What a studio configures about marks: who signs, who stamps the time, whom to trust, what a Chinese label names.

Three places, the first that answers wins: the environment, the table `[marks]` of the project's `photodouble.toml`, the
same table of `config.toml` in the user's settings folder. None of their keys leaves a mark out.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photodouble.errors import BadInput
from photodouble.files import config_home
from photodouble.project import MARKER

TABLE = "marks"
KEYS = ("certificate", "key", "timestamp", "anchors", "producer")
USER_FILE = "config.toml"
ENVIRONMENT = "the environment"
VARIABLES = {
    "certificate": "PHOTODOUBLE_SIGNING_CERT",
    "key": "PHOTODOUBLE_SIGNING_KEY",
    "timestamp": "PHOTODOUBLE_TIMESTAMP_URL",
    "anchors": "PHOTODOUBLE_TRUST_ANCHORS",
}


@dataclass(frozen=True)
class Settings:
    """The table `[marks]`.

    Attributes:
        certificate, key: the signer's PEM files; signer.py asks for both or none.
        timestamp: URL of an RFC 3161 time stamp authority; None: none is asked, and the network is not used.
        anchors: PEM file of certificates whose signatures count as trusted.
        producer: name or code of who makes the outputs, for the metadata of the label `cn`.
        place: where certificate and key are named, in words.
    """

    certificate: Path | None = None
    key: Path | None = None
    timestamp: str | None = None
    anchors: Path | None = None
    producer: str | None = None
    place: str = ""


def load_settings(project: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """What is configured for work in `project` (its folder; None: for no project in particular).

    Certificate and key come from one place. Anchors never come from a project: a folder that somebody hands over must
    not say whom to trust.

    Raises:
        BadInput: a settings file is malformed or has an unknown key.
    """
    places: list[tuple[str, dict[str, Any]]] = [(ENVIRONMENT, _of_environment(environment))]
    if project is not None:
        own = _of_file(Path(project) / MARKER)
        if "anchors" in own:
            raise BadInput(
                f"{Path(project) / MARKER} names 'anchors': whom to trust belongs into the user's own "
                f"{config_home(environment) / USER_FILE}."
            )
        places.append((str(Path(project) / MARKER), own))
    user = config_home(environment) / USER_FILE
    places.append((str(user), _of_file(user)))
    found: dict[str, Any] = {}
    for place, values in places:
        signing = {name: values[name] for name in ("certificate", "key") if name in values}
        if signing and "place" not in found:
            found |= signing | {"place": place}
        for name in ("timestamp", "anchors", "producer"):
            if name in values:
                found.setdefault(name, values[name])
    return Settings(**found)


def _of_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    given = {name: environment[variable] for name, variable in VARIABLES.items() if environment.get(variable)}
    return _typed(given, Path(), ENVIRONMENT)


def _of_file(path: Path) -> dict[str, Any]:
    """The table `[marks]` of a TOML file, its paths relative to the file; empty where there is none."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get(TABLE, {}) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise BadInput(
            f"Cannot read the settings {path} ({' '.join(str(error).split())}): correct the file."
        ) from error
    if not isinstance(table, dict):
        raise BadInput(f"[{TABLE}] in {path} is not a table: write '[{TABLE}]' on a line of its own.")
    for name, value in table.items():
        if name not in KEYS:
            raise BadInput(f"[{TABLE}] in {path} has no setting {name!r}: it knows {', '.join(KEYS)}.")
        if not isinstance(value, str) or not value:
            raise BadInput(f"{name!r} in [{TABLE}] of {path} is not a text: put it in quotation marks.")
    return _typed(table, path.parent, str(path))


def _typed(values: dict[str, str], folder: Path, place: str) -> dict[str, Any]:
    url = values.get("timestamp")
    if url and not url.startswith(("http://", "https://")):
        raise BadInput(
            f"{url!r} in {place} is not the URL of a time stamp authority: it begins with http:// or https://."
        )
    return {
        name: folder / Path(value).expanduser() if name in ("certificate", "key", "anchors") else value
        for name, value in values.items()
    }
