"""Pictures of the wanted person with a hand before the face: a face drawn from them has a thumb on its chin."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import numpy as np

from photodouble.faces.matte import outline_matte
from photodouble.faces.occlusion import HandMatte
from photodouble.faces.topology import LEFT_EYE, LIPS_OUTER, RIGHT_EYE
from photodouble.retarget.mesh import REGIONS, Wanted, region_mask
from photodouble.retarget.shape import eyes_apart

LOOKS = 24
"""Pictures that are looked at, taken evenly: a hand stays for some frames of a clip. Those between a find and its
neighbours are looked at, too."""

THREADS = 2

AROUND = 0.1
"""Of the distance of the eyes' corners: what a region is, around eyes and lips, beside their outlines."""

LEAST, PRICE = 0.01, 0.05
"""A region covered by less than this part is not spoiled; the price of one that is, beside that of not fitting."""


def hand_prices(wanted: Wanted) -> dict[str, np.ndarray]:
    """What each picture costs more, for each region, since a hand covers it there: (n,) of 0 and `PRICE`."""
    count = len(wanted.landmarks)
    looked = np.unique(np.linspace(0, count - 1, LOOKS).round().astype(int)).tolist()
    with ThreadPoolExecutor(THREADS) as pool:
        parts = pool.map(partial(_spoiled, wanted), [looked[k::THREADS] for k in range(THREADS)])
        found = {picture: regions for part in parts for picture, regions in part.items()}
    between = [range(a + 1, b) for a, b in pairwise(looked) if found[a] or found[b]]
    found |= _spoiled(wanted, [picture for part in between for picture in part])
    prices = {region: np.zeros(count) for region in REGIONS}
    for picture, regions in found.items():
        for region in regions:
            prices[region][picture] = PRICE
    return prices


def _spoiled(wanted: Wanted, pictures: Sequence[int]) -> dict[int, list[str]]:
    """The regions that a hand covers in each of some pictures."""
    found: dict[int, list[str]] = {}
    if not pictures:
        return found  # the networks take time to load
    matte = HandMatte()
    for picture in pictures:
        matte.reset()
        points = wanted.landmarks[picture]
        hand = matte(wanted.picture(picture), points)
        areas = _areas(points, hand.shape) if hand.any() else {}
        found[picture] = [region for region, area in areas.items() if _share(hand, area) > LEAST]
    return found


def _areas(points: np.ndarray, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    grow = AROUND * eyes_apart(points)
    eyes, mouth = (
        region_mask(points, outlines, shape, grow, 0.0) for outlines in ((RIGHT_EYE, LEFT_EYE), (LIPS_OUTER,))
    )
    return {"face": outline_matte(points, shape, 0.0), "eyes": eyes, "mouth": mouth}


def _share(hand: np.ndarray, area: np.ndarray) -> float:
    return float((hand * area).sum() / max(float(area.sum()), 1.0))
