"""What each model of the family is trained with."""

from typing import Any

from photodouble import networks
from photodouble.training.pair_cache import PairCache
from photodouble.training.pair_losses import Weights
from photodouble.training.refine import Refine

RECIPES: dict[str, dict[str, Any]] = {
    "lite": {},
    "standard": {
        "batch_size": 24,
        "others": 8,
        "rate": 4e-4,
        "balanced": True,
        "weights": Weights(scales=3, slopes=0.5, critic=0.01),
    },
    "fine": {
        "batch_size": 8,
        "others": 4,
        "rate": 2e-4,
        "balanced": True,
        "weights": Weights(scales=4, slopes=0.5, critic=0.01),
    },
}
"""Values of `Refine` by model, where they are not its defaults."""


def refine(model: str, caches: dict[str, PairCache], **values: Any) -> Refine:
    """The training of `model`; `values` are further ones of `Refine` and go before the recipe's.

    Raises:
        ValueError: pairs are not of the model's size.
    """
    size = networks.size_of(model)
    other = [f"{name} ({cache.size})" for name, cache in caches.items() if cache.size != size]
    if other:
        raise ValueError(f"{model} is trained on pairs of {size} pixels, not on those of {', '.join(other)}")
    return Refine(caches, model=model, **{**RECIPES[model], **values})
