"""The generator that a name stands for."""

from typing import TYPE_CHECKING

from photodouble.errors import BadInput
from photodouble.generators.mesh import MeshGenerator
from photodouble.generators.protocol import Generator
from photodouble.project import Project
from photodouble.retarget import Wanted

if TYPE_CHECKING:
    from torch import nn

MESH = "mesh"


def load_generator(project: Project, model: str, target: str, wanted: Wanted) -> Generator:
    """`mesh`, or a trained model of the project, ready to draw the identity `target`.

    Raises:
        BadInput: there is no such model, it does not load, or it was not trained for `target`.
    """
    if model == MESH:
        return MeshGenerator(wanted)
    import torch

    from photodouble.training.checkpoint import load_model

    folder = project.model(model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = load_model(folder, device)
    if target not in loaded.meta.identities:
        raise BadInput(
            f"The model {folder} knows {', '.join(loaded.meta.identities)}, not {target}: "
            f"train one with 'photodouble train --to {target}'."
        )
    made = as_generator(loaded.module, loaded.meta.identities.index(target), loaded.meta.used, wanted)
    if made is None:
        raise BadInput(f"The model {folder} has the architecture {loaded.meta.architecture}, which draws no faces.")
    return made


def as_generator(module: "nn.Module", identity: int, model_digest: str, wanted: Wanted) -> Generator | None:
    """A network as it stands in memory, drawing with its decoder number `identity`; None if it draws no faces."""
    from photodouble.generators.original import OriginalGenerator
    from photodouble.generators.refined import RefinedGenerator
    from photodouble.networks.refiner import Refiner

    if isinstance(module, Refiner):
        return RefinedGenerator(module, identity, model_digest, wanted)
    if module.architecture == "original":
        return OriginalGenerator(module, identity, model_digest)
    return None
