"""Networks by name, each with a typed configuration that rebuilds it."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from photodouble.errors import BadInput

Module = TypeVar("Module", bound=type[nn.Module])

_NETWORKS: dict[str, tuple[type[nn.Module], type]] = {}


def register(name: str, config: type) -> Callable[[Module], Module]:
    """Class decorator: `create(name, **values)` will call the class with one `config(**values)`.

    `config` is a frozen dataclass whose fields are numbers, strings, booleans and tuples of them, each with a default,
    so that it survives the way through JSON. A network has a `size`, and its `forward`
    takes N x 3 x size x size pictures and, by that name, the number of an `identity`.
    """
    if not dataclasses.is_dataclass(config):
        raise TypeError(f"the config of network {name} must be a dataclass")

    def add(module: Module) -> Module:
        if name in _NETWORKS:
            raise ValueError(f"a network {name} is registered already")
        _NETWORKS[name] = (module, config)
        return module

    return add


def names() -> tuple[str, ...]:
    """The registered networks."""
    return tuple(sorted(_NETWORKS))


def size_of(name: str) -> int:
    """Height and width of the pictures of the registered network `name`."""
    return int(_NETWORKS[name][0].size)  # type: ignore[attr-defined]


def create(name: str, **values: Any) -> nn.Module:
    """Build the network `name`; its config is kept as `.config` and its name as `.architecture`.

    Values that are not given are the config's defaults; lists (as JSON gives them) become tuples.

    Raises:
        BadInput: there is no such network, or it has no such setting.
    """
    if name not in _NETWORKS:
        raise BadInput(f"There is no network '{name}': choose one of {', '.join(names())}.")
    cls, config_cls = _NETWORKS[name]
    known = {field.name for field in dataclasses.fields(config_cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise BadInput(f"The network '{name}' has no setting '{unknown[0]}': it has {', '.join(sorted(known))}.")
    config = config_cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
    module = cls(config)
    module.config = config
    module.architecture = name  # type: ignore[assignment]
    return module


def config_of(module: nn.Module) -> dict[str, Any]:
    """The full configuration of a network made by `create`, as JSON-ready values (tuples become lists)."""
    config: Any = module.config
    values = dataclasses.asdict(config)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
