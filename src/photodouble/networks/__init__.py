"""Plain modules by name: no files, no devices, no training."""

import importlib
import pkgutil

from photodouble.networks.identities import add_identity
from photodouble.networks.registry import config_of, create, names, register, size_of

for _module in pkgutil.iter_modules(__path__):  # a network is added by adding a file here
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["add_identity", "config_of", "create", "names", "register", "size_of"]
