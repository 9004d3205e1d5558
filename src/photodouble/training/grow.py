"""One more identity in a trained model: only its own decoder learns, so that everybody else is drawn as before."""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from photodouble import networks
from photodouble.errors import BadInput
from photodouble.training import checkpoint, model_json
from photodouble.training.lock import held
from photodouble.training.model_json import Meta
from photodouble.training.run import Run
from photodouble.training.task import About, Task


@dataclass(frozen=True)
class Growth:
    """What is added to a model.

    Attributes:
        folder, meta: the model.
        new: the identities whose decoders are trained, in the order of their decoders.
        begun: whether the model has them already, from an interrupted call.
    """

    folder: Path
    meta: Meta
    new: list[str]
    begun: bool

    @property
    def identities(self) -> list[str]:
        """All names in the order of the decoders."""
        return self.meta.identities + ([] if self.begun else self.new)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of the new identities' decoders."""
        return tuple(self.identities.index(name) for name in self.new)

    def about(self, consent: dict[str, str], data: dict[str, Any]) -> About:
        """What the larger model says of itself; `consent` and `data` are of the new identities."""
        meta = self.meta
        start = meta.start
        if not self.begun:
            start = {"from": str(self.folder), "weights": meta.used, "images": meta.images, "consent": meta.consent}
            start |= {"added": self.new, "start": meta.start}
        return About(self.identities, meta.consent | consent, meta.data | data, start)

    def start(self, module: nn.Module) -> None:
        """Give a new network the model's weights, in place, and freeze all but the new decoders."""
        old = checkpoint.load_model(self.folder).module
        for _ in [] if self.begun else self.new:
            old = networks.add_identity(old)
        module.load_state_dict(old.state_dict())
        module.requires_grad_(False)
        for number in self.numbers:
            module.decoders[number].requires_grad_(True)  # type: ignore[index, operator]

    def begin(self, task: Task, about: About, seed: int, device: torch.device | str) -> "Growth":
        """Put the larger model, whose new decoders have learned nothing yet, in the place of the one that is there."""
        if not self.begun:
            own = copy.copy(task)  # a run's critic is in the way where the task is pickled for several processes
            with held(self.folder):
                Run(own, seed, torch.device(device), self.start).save(self.folder, about)
        return replace(self, meta=model_json.load_meta(self.folder), begun=True)


def plan_growth(folder: Path, names: list[str], task: str) -> Growth:
    """Find out which of `names` the model in `folder` does not know.

    Args:
        folder: of the model.
        names: some of them new.
        task: the kind of training that can add somebody.

    Raises:
        BadInput: there is no whole model, it is of another kind, or it knows all of them.
    """
    meta = model_json.check(folder)
    if meta.task != task:
        raise BadInput(f"Nobody can be added to the model {folder}, a '{meta.architecture}': train it anew with both.")
    new = [name for name in names if name not in meta.identities]
    if new:
        return Growth(Path(folder), meta, new, begun=False)
    begun = [name for name in meta.start.get("added", []) if name in names]
    if begun and begun == meta.start["added"]:
        return Growth(Path(folder), meta, begun, begun=True)
    raise BadInput(f"The model {folder} knows {' and '.join(names)} already: nobody is left to be added.")
