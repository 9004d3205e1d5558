"""The direction of the walk: a room imports only from the rooms before it, a front end only stages."""

import ast
from pathlib import Path

import pytest

import photodouble

ROOMS = (
    "media", "weights", "faces", "retarget", "consent", "provenance", "networks", "training", "generators",
    "compositing", "evaluation", "stages", "cli",
)  # fmt: skip
BELOW = {"errors", "files", "project"}  # used by everybody
SOURCE = Path(photodouble.__file__).parent


def imported(file: Path) -> set[str]:
    """Rooms that a module imports, at its top or inside its functions."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    rooms = {name.split(".")[1] for name in names if name.startswith("photodouble.")}
    return {room for room in rooms if room in ROOMS}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_before_it(room):
    allowed = {"stages", "cli"} if room == "cli" else set(ROOMS[: ROOMS.index(room) + 1])
    files = sorted((SOURCE / room).rglob("*.py"))
    assert files
    wrong = {str(file.relative_to(SOURCE)): sorted(imported(file) - allowed) for file in files}
    assert {file: rooms for file, rooms in wrong.items() if rooms} == {}


def test_what_is_below_the_rooms_imports_none():
    for name in BELOW:
        assert imported(SOURCE / f"{name}.py") == set()
