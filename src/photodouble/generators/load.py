"""The generator that a name stands for."""

from photodouble.errors import BadInput
from photodouble.generators.mesh import MeshGenerator
from photodouble.generators.protocol import Generator
from photodouble.project import Project
from photodouble.retarget import Wanted

MESH = "mesh"


def load_generator(project: Project, model: str, target: str, wanted: Wanted) -> Generator:
    """`mesh`, or a trained model of the project, ready to draw the identity `target`.

    Raises:
        BadInput: there is no such model, it does not load, or it was not trained for `target`.
    """
    if model == MESH:
        return MeshGenerator(wanted)
    import torch

    from photodouble.generators.lite import LiteGenerator
    from photodouble.generators.original import OriginalGenerator
    from photodouble.training.checkpoint import load_model

    folder = project.model(model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = load_model(folder, device)
    if target not in loaded.meta.identities:
        raise BadInput(
            f"The model {folder} knows {', '.join(loaded.meta.identities)}, not {target}: "
            f"train one with 'photodouble train --to {target}'."
        )
    number = loaded.meta.identities.index(target)
    if loaded.meta.architecture == "original":
        return OriginalGenerator(loaded.module, number, loaded.meta.weights)
    if loaded.meta.architecture == "lite":
        return LiteGenerator(loaded.module, number, loaded.meta.weights, wanted)
    raise BadInput(f"The model {folder} has the architecture {loaded.meta.architecture}, which draws no faces.")
