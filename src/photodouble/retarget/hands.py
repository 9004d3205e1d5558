"""Pictures of the wanted person with a hand before the face: a face drawn from them has a thumb on its chin."""

from itertools import pairwise

import numpy as np

from photodouble.faces.matte import outline_matte
from photodouble.faces.occlusion import HandMatte
from photodouble.faces.topology import LEFT_EYE, LIPS_OUTER, RIGHT_EYE
from photodouble.retarget.mesh import REGIONS, Wanted, region_mask

LOOKS = 32
"""Pictures that are looked at, taken evenly: a hand stays for some frames of a clip. Those between a find and its
neighbours are looked at, too."""

AROUND = 0.1
"""Of the distance of the eyes' corners: what a region is, around eyes and lips, beside their outlines."""

LEAST, PRICE = 0.01, 0.05
"""A region covered by less than this part is not spoiled; the price of one that is, beside that of not fitting."""


def hand_prices(wanted: Wanted) -> dict[str, np.ndarray]:
    """What each picture costs more, for each region, since a hand covers it there: (n,) of 0 and `PRICE`."""
    count = len(wanted.landmarks)
    prices = {region: np.zeros(count) for region in REGIONS}
    matte = HandMatte()

    def look(picture: int) -> bool:
        image, points = wanted.picture(picture), wanted.landmarks[picture]
        matte.reset()
        hand = matte(image, points)
        spoiled = hand.any() and {name: _share(hand, area) > LEAST for name, area in _areas(points, hand.shape).items()}
        for region in REGIONS:
            prices[region][picture] = PRICE * bool(spoiled and spoiled[region])
        return bool(spoiled and any(spoiled.values()))

    looked = np.unique(np.linspace(0, count - 1, LOOKS).round().astype(int)).tolist()
    found = [look(picture) for picture in looked]
    for at, (before, after) in enumerate(pairwise(looked)):
        if found[at] or found[at + 1]:
            for picture in range(before + 1, after):
                look(picture)
    return prices


def _areas(points: np.ndarray, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    grow = AROUND * float(np.linalg.norm(points[33, :2] - points[263, :2]))
    eyes, mouth = (
        region_mask(points, outlines, shape, grow, 0.0) for outlines in ((RIGHT_EYE, LEFT_EYE), (LIPS_OUTER,))
    )
    return {"face": outline_matte(points, shape, 0.0), "eyes": eyes, "mouth": mouth}


def _share(hand: np.ndarray, area: np.ndarray) -> float:
    return float((hand * area).sum() / max(float(area.sum()), 1.0))
