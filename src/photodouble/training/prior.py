"""Where a network's weights start: at nothing, at a prior that `pretrain` made, or at another trained model."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from photodouble import networks
from photodouble.errors import BadInput
from photodouble.networks.fine import grow
from photodouble.training import checkpoint, model_json
from photodouble.training.model_json import Meta

BUNDLED, NONE = "bundled", "none"
PRIORS = Path(__file__).parent / "priors"
"""One folder for each architecture that has a prior; docs/PRIOR.md says what they were made of."""

EVERYBODY = "everybody"
"""Name of the one decoder of a prior, which all its people share."""

DECODERS = "decoders."


@dataclass(frozen=True)
class Prior:
    """Weights to start from, and what is known about the model that they are of."""

    meta: Meta
    weights: dict[str, torch.Tensor]
    origin: str

    def record(self) -> dict[str, Any]:
        """What the new model says of its start: where from, which weights, with whose consent."""
        meta = self.meta
        return {"from": self.origin, "weights": meta.used, "images": meta.images, "consent": meta.consent}

    def fill(self, module: nn.Module, identities: list[str]) -> None:
        """Give a new network these weights, in place.

        A decoder starts as that of the same identity, or as the mean of all, in which what is one person's own has
        mostly cancelled out.

        Args:
            module: made by `networks.create`, of the prior's architecture and settings.
            identities: names in the order of its decoders.

        Raises:
            BadInput: the network's settings are others.
        """
        _check_settings(self.origin, self.meta, module)
        known = self.meta.identities
        state = {}
        for key in module.state_dict():
            if key.startswith(DECODERS):
                number, rest = key.removeprefix(DECODERS).split(".", 1)
                name = identities[int(number)]
                alike = [known.index(name)] if name in known else range(len(known))
                parts = [self.weights[f"{DECODERS}{old}.{rest}"] for old in alike]
                state[key] = torch.stack([part.float() for part in parts]).mean(0)
            else:
                state[key] = self.weights[key]
        module.load_state_dict(state)


def load_prior(init: str | None, architecture: str) -> Prior | None:
    """The prior that `--init` asks for.

    Args:
        init: `bundled`, `none` or the folder of a prior or a model (for a `fine` also of a `standard`, which grows into
            it); None: the bundled one where there is one.
        architecture: of the network to be trained.

    Raises:
        BadInput: there is none, it is damaged, or it is of another network or has other settings.
    """
    if init == NONE or (init is None and not model_json.exists(PRIORS / architecture)):
        return None
    bundled = init in (None, BUNDLED)
    folder = PRIORS / architecture if bundled else Path(str(init))
    if bundled and not model_json.exists(folder):
        raise BadInput(
            f"No prior for '{architecture}' comes with photodouble: give the folder of one that "
            f"'photodouble pretrain' made, or --init {NONE}."
        )
    meta = model_json.check(folder)
    if (meta.architecture, architecture) == ("standard", "fine"):
        grown = grow(checkpoint.load_model(folder).module)
        meta = replace(meta, architecture="fine", config=networks.config_of(grown))
        return Prior(meta, grown.state_dict(), str(folder))
    if meta.architecture != architecture:
        raise BadInput(
            f"The model in {folder} is a '{meta.architecture}' and cannot start a '{architecture}': give another one, "
            f"or --init {NONE}."
        )
    with torch.device("meta"):
        _check_settings(str(folder), meta, networks.create(architecture))

    def read(meta: Meta) -> tuple[Meta, dict[str, torch.Tensor]]:
        return meta, load_file(model_json.weights_file(folder, meta, best=True))

    meta, weights = model_json.at_one_moment(folder, read)
    return Prior(meta, weights, BUNDLED if bundled else str(folder))


def _check_settings(origin: str, meta: Meta, module: nn.Module) -> None:
    wanted = networks.config_of(module)
    other = sorted(key for key in wanted if key != "identities" and meta.config.get(key, wanted[key]) != wanted[key])
    if other:
        raise BadInput(
            f"The model in {origin} has another {other[0]} ({meta.config[other[0]]}, not {wanted[other[0]]}) than the "
            f"network to be trained: make one with 'photodouble pretrain', or give --init {NONE}."
        )
