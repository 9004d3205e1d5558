"""What draws the wanted person's face: `mesh`, or a trained model."""

from photodouble.generators.load import MESH, as_generator, load_generator
from photodouble.generators.mesh import MeshGenerator
from photodouble.generators.protocol import Drawn, Generator, PlateFace

__all__ = ["MESH", "Drawn", "Generator", "MeshGenerator", "PlateFace", "as_generator", "load_generator"]
