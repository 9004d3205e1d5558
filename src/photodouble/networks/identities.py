"""One more person in a trained network."""

import torch
from torch import nn

from photodouble.networks.registry import config_of, create


@torch.no_grad()
def add_identity(module: nn.Module, like: int | None = None) -> nn.Module:
    """A new network with the weights of `module` (made by `create`) and one more decoder, the last one.

    What the identities share and the decoders that are there are copied, so everybody is drawn as before.

    Args:
        module: any network whose `decoders` are one for each identity; it is left as it is.
        like: number of the decoder that the new one is a copy of; None: the mean of all, in which what is a person's
            own has mostly cancelled out.

    Raises:
        ValueError: there is no decoder `like`.
    """
    decoders = list(module.decoders)  # type: ignore[arg-type]
    if like is not None and not 0 <= like < len(decoders):
        raise ValueError(f"the network has {len(decoders)} identities, none of them is number {like}")
    models = [decoder.state_dict() for decoder in (decoders if like is None else [decoders[like]])]
    state = dict(module.state_dict())
    for key, first in models[0].items():
        values = [model[key] for model in models]
        mean = torch.stack(values).mean(0) if first.is_floating_point() else first
        state[f"decoders.{len(decoders)}.{key}"] = mean
    larger = create(str(module.architecture), **{**config_of(module), "identities": len(decoders) + 1})
    larger.load_state_dict(state)
    return larger.to(next(module.parameters()).device).train(module.training)
