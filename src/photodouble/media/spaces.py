"""Colour spaces by name: the code points of the common ones, an OpenColorIO config for the others."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from photodouble.errors import BadInput
from photodouble.media.colour import LINEAR, SRGB
from photodouble.media.frame import Colour
from photodouble.media.transfer import HLG, PQ

INSIDE = "ocio://"
"""How the names of configs begin that come with OpenColorIO (its Config.CreateFromFile)."""

BUILT_IN = "ocio://studio-config-latest"
"""The ACES studio config that comes with OpenColorIO."""

# Primaries and transfer of names that need no config: ASWF color interop IDs, OpenImageIO's and OpenColorIO's own.
_KNOWN = {
    "srgb": (1, SRGB),
    "srgb_rec709_scene": (1, SRGB),
    "srgb_rec709_display": (1, SRGB),
    "srgb encoded rec.709 (srgb)": (1, SRGB),
    "rec709": (1, 1),
    "g24_rec709_scene": (1, 1),
    "g24_rec709_display": (1, 1),
    "linear": (1, LINEAR),
    "scene_linear": (1, LINEAR),
    "lin_srgb": (1, LINEAR),
    "lin_rec709": (1, LINEAR),
    "lin_rec709_srgb": (1, LINEAR),
    "lin_rec709_scene": (1, LINEAR),
    "linear rec.709 (srgb)": (1, LINEAR),
    "lin_rec2020": (9, LINEAR),
    "lin_rec2020_scene": (9, LINEAR),
    "linear rec.2020": (9, LINEAR),
    "lin_p3d65": (12, LINEAR),
    "lin_p3d65_scene": (12, LINEAR),
    "linear p3-d65": (12, LINEAR),
    "pq_rec2020_display": (9, PQ),
    "rec.2100-pq - display": (9, PQ),
    "hlg_rec2020_display": (9, HLG),
    "rec.2100-hlg - display": (9, HLG),
}

# Where pictures are converted to before they get the view: linear light with BT.709's primaries, by any usual name.
_LINEAR_709 = ["lin_rec709_scene", "lin_rec709", "lin_rec709_srgb", "Linear Rec.709 (sRGB)", "lin_srgb"]
_LINEAR_709 += ["Utility - Linear - sRGB", "Utility - Linear - Rec.709", "scene_linear"]


@dataclass(frozen=True)
class Space:
    """What the user says of a plate's colours: a colour space's name and an OpenColorIO config, or nothing.

    Attributes:
        name: of the colour space; "": as the files say.
        config: the config that explains names: a file, or one that comes with OpenColorIO as "ocio://..." (which is
            no Path); None: the studio config.
    """

    name: str = ""
    config: Path | str | None = None


def of_name(colour: Colour, name: str, config: Path | str | None, asked: bool) -> Colour:
    """`colour` with what the name of a colour space says; unchanged where a file's own name means nothing to anybody.

    Args:
        name: "" leaves `colour` as it is.
        config: as in `Space`; it goes before what is known here, and is read only where there is a name to explain.
        asked: the user gave the name, who wants to hear that it is unknown.

    Raises:
        BadInput: the config that is needed is not there or cannot be read, or it lacks the name that was asked for.
    """
    if not name:
        return colour
    if config is None and name.lower() in _KNOWN:
        primaries, transfer = _KNOWN[name.lower()]
        return replace(colour, primaries=primaries, transfer=transfer)
    known = _config(str(config or ""))
    found = known.getColorSpace(name)
    if found is not None:
        return replace(colour, space=found.getName(), config=str(config or ""))
    if config is not None and not asked and name.lower() in _KNOWN:
        return of_name(colour, name, None, asked)
    if asked:
        where = f"the OpenColorIO config {config}" if config else "the built-in OpenColorIO config"
        some = ", ".join([*known.getColorSpaceNames()][:4])
        raise BadInput(f"There is no colour space '{name}' in {where}: give one of its names ({some}, ...).")
    return colour


def to_linear_709(image: np.ndarray, colour: Colour) -> np.ndarray:
    """Linear light with BT.709's primaries of H x W x 3 float32 in `colour.space`."""
    return _converter(colour.space, colour.config, False)(image)


def from_linear_709(image: np.ndarray, colour: Colour) -> np.ndarray:
    """The inverse of `to_linear_709`."""
    return _converter(colour.space, colour.config, True)(image)


@lru_cache(8)
def _config(config: str) -> Any:
    if config and not config.startswith(INSIDE) and not Path(config).is_file():
        raise BadInput(f"There is no OpenColorIO config {config}: check --ocio, or the environment variable OCIO.")
    # Only plates whose colour spaces need it pay for loading it.
    import PyOpenColorIO as ocio  # noqa: N813 (its own short name)

    try:
        return ocio.Config.CreateFromFile(config or BUILT_IN)
    except ocio.Exception as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise BadInput(f"{config} is no OpenColorIO config that can be read ({reason}): give another one.") from error


@lru_cache(8)
def _converter(space: str, config: str, back: bool) -> Callable[[np.ndarray], np.ndarray]:
    """How a colour space is converted to linear BT.709, or `back`."""
    import PyOpenColorIO as ocio  # noqa: N813 (its own short name)

    known = _config(config)
    linear = next((name for name in _LINEAR_709 if known.getColorSpace(name) is not None), None)
    if linear is None:
        raise BadInput(f"{config} has no linear colour space: give it the role scene_linear.")
    source, target = (linear, space) if back else (space, linear)
    try:
        processor = known.getProcessor(source, target).getDefaultCPUProcessor()
    except ocio.Exception as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise BadInput(f"Cannot convert from {source} to {target} ({reason}): check the OpenColorIO config.") from error

    def convert(image: np.ndarray) -> np.ndarray:
        done = np.array(image, np.float32, order="C")
        processor.applyRGB(done)
        return done

    return convert
