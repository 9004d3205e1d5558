"""A power cut at any moment of a save: what was not fsynced may be lost, cut off, or full of zeros.

The calls that change a folder are recorded. After each, every disk is made that a power cut could leave there: renames,
links and removals since the folder's last fsync have happened or not, each on its own, and files that were not fsynced
have any contents. Harder than real file systems, most of which keep the order at least.
"""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from photodouble import networks
from photodouble.errors import BadInput
from photodouble.training.checkpoint import TrainingState, load_model, load_state, load_weights, save_model
from photodouble.training.model_json import Meta

Names = dict[str, int]


class Disk:
    """What of one folder would outlast a power cut: names of inodes, and the inodes' contents."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contents: dict[int, bytes | None] = {}
        self.keep = os.link
        self.durable: Names = {}
        self.pending: list[tuple[str, str | None, int | None]] = []  # (name that vanishes, name that appears, inode)
        self.states: list[list[dict[str, bytes]]] = []

    def inode(self, path: Path) -> int:
        """Of a file; one that nobody has heard of has just been made under this name."""
        number = os.stat(path).st_ino
        if number not in self.contents:
            self.contents[number] = None
            self.pending.append(("", path.name, number))
            self.keep(path, self.folder.parent / f"kept{number}")  # so that no other file gets this number
        return number

    def possible(self) -> Iterator[dict[str, bytes]]:
        """Every folder that a power cut may leave now."""
        count = len(self.pending)
        some = itertools.product((False, True), repeat=count)
        in_order = ([at < done for at in range(count)] for done in range(count + 1))
        for happened in some if count <= 6 else in_order:
            names = dict(self.durable)
            for (old, new, inode), done in zip(self.pending, happened, strict=True):
                if done:
                    names.pop(old, None)
                    if new is not None and inode is not None:
                        names[new] = inode
            for junk in (b"", b"{", bytes(64)):
                contents = {name: self.contents[inode] for name, inode in names.items()}
                yield {name: junk if data is None else data for name, data in contents.items()}

    def note(self) -> None:
        """A moment at which the power may go."""
        seen: list[dict[str, bytes]] = []
        for state in self.possible():
            if state not in seen:
                seen.append(state)
        self.states.append(seen)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    folder = tmp_path / "m"
    disk, opened = Disk(folder), {}
    real = {name: getattr(os, name) for name in ("replace", "fsync", "open", "link", "unlink")}

    def inside(path: object) -> bool:
        return Path(str(path)).parent == folder

    def replace(source: Path, target: Path) -> None:
        number = disk.inode(source) if inside(source) else 0
        real["replace"](source, target)
        if inside(target):
            disk.pending.append((Path(source).name, Path(target).name, number))
            disk.note()

    def link(source: Path, target: Path) -> None:
        number = disk.inode(source)
        real["link"](source, target)
        disk.pending.append(("", Path(target).name, number))
        disk.note()

    def unlink(path: Path, **rest: object) -> None:
        real["unlink"](path, **rest)
        if inside(path):
            disk.pending.append((Path(path).name, None, None))
            disk.note()

    def open_(path: Path, *rest: int, **more: object) -> int:
        descriptor = real["open"](path, *rest, **more)
        opened[descriptor] = Path(str(path))
        return descriptor

    def fsync(descriptor: int) -> None:
        path = opened[descriptor]
        if path == folder:
            real["fsync"](descriptor)
            for old, new, inode in disk.pending:
                disk.durable.pop(old, None)
                if new is not None and inode is not None:
                    disk.durable[new] = inode
            disk.pending.clear()
        elif inside(path):
            number = disk.inode(path)
            disk.note()
            disk.contents[number] = path.read_bytes()
        disk.note()

    for name, function in {"replace": replace, "link": link, "unlink": unlink, "open": open_, "fsync": fsync}.items():
        monkeypatch.setattr(os, name, function)
    return disk


def save(folder: Path, value: float, best: float, fresh: bool, record: dict) -> dict:
    """A model whose newest weights are `value` and whose best ones are `best`."""
    module, better = (networks.create("original", width=2) for _ in range(2))
    with torch.no_grad():
        for network, number in ((module, value), (better, best)):
            for parameter in network.parameters():
                parameter.fill_(number)
    meta = Meta("original", networks.config_of(module), best={**record, "images": best})
    state = TrainingState({"x": torch.full((3,), value)}, {"value": value})
    return save_model(folder, module, meta, state, dict(better.state_dict()) if fresh else None).best


def values(folder: Path) -> tuple[float, float]:
    """Newest and best of the model in `folder`, which must be whole."""
    model = load_model(folder)
    state = load_state(folder, model.meta)
    best = {float(value) for parameter in model.module.parameters() for value in parameter.detach().flatten()[:2]}
    module = networks.create(model.meta.architecture, **model.meta.config)
    load_weights(folder, model.meta, module)
    newest = {float(value) for parameter in module.parameters() for value in parameter.detach().flatten()[:2]}
    assert newest == {state.values["value"]} == {float(state.tensors["x"][0])}
    assert best == {model.meta.best["images"]}
    return newest.pop(), best.pop()


def test_a_whole_model_is_there_after_a_power_cut_at_any_moment_of_its_saves(disk: Disk, tmp_path: Path) -> None:
    saves = [
        (1.0, 1.0, True),
        (2.0, 2.0, True),
        (3.0, 2.0, False),
        (4.0, 2.0, False),
        (5.0, 4.5, True),
        (6.0, 6.0, True),
    ]
    record: dict = {}
    tried = checked = 0
    seen: dict[tuple[tuple[str, bytes], ...], tuple[float, float] | None] = {}
    for number, (value, best, fresh) in enumerate(saves):
        disk.states.clear()
        record = save(disk.folder, value, best, fresh, record)
        allowed = {saves[at][:2] for at in (number - 1, number) if at >= 0}
        for moment, state in enumerate(itertools.chain.from_iterable(disk.states)):
            tried += 1
            key = tuple(sorted((name, data) for name, data in state.items() if not name.startswith(".")))
            if key not in seen:
                folder = tmp_path / "after"
                folder.mkdir()
                for name, data in key:
                    (folder / name).write_bytes(data)
                try:
                    seen[key] = values(folder)
                except BadInput:
                    seen[key] = None
                for path in folder.iterdir():
                    path.unlink()
                folder.rmdir()
                checked += 1
            if number or seen[key] is not None:  # before the first save is done there need not be a model
                assert seen[key] in allowed, f"save {number}, moment {moment}: {sorted(state)}"
        assert disk.states[-1] and not disk.pending
        assert values(disk.folder) == (value, best)
    assert tried > 200 and checked > 40


def test_the_recorder_notices_a_save_that_does_not_wait_for_the_disk(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same without fsync: some power cut must then leave no model."""
    record = save(disk.folder, 1.0, 1.0, True, {})
    disk.states.clear()
    monkeypatch.setattr("photodouble.files.fsync", lambda path: None)
    monkeypatch.setattr("photodouble.training.checkpoint.fsync", lambda path: None)
    save(disk.folder, 2.0, 2.0, True, record)
    lost = 0
    for number, state in enumerate(disk.states[-1]):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, data in state.items():
            (folder / name).write_bytes(data)
        try:
            values(folder)
        except BadInput:
            lost += 1
    assert lost
