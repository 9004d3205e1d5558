"""A hand before the wanted person's face is seen, and such a picture is not drawn from where another one is at hand."""

from dataclasses import replace

import numpy as np
import pytest

from photodouble.retarget import REGIONS, paths
from photodouble.retarget.hands import PRICE, hand_prices
from photodouble.retarget.mesh import own_features

PERSON = "p002"


@pytest.fixture(scope="module")
def prices(people):
    return hand_prices(people[PERSON])


def test_pictures_with_a_hand_cost_more_where_it_is(people, prices):
    """One hand lies on the chin, another before a yawning mouth."""
    assert set(prices) == set(REGIONS)
    assert all(price.shape == people[PERSON].price.shape for price in prices.values())
    spoiled = {region: set(np.flatnonzero(price).tolist()) for region, price in prices.items()}
    assert len(spoiled["face"]) == 2 and len(spoiled["mouth"]) == 1 and not spoiled["eyes"]
    assert spoiled["mouth"] < spoiled["face"] and prices["face"].max() == PRICE


def test_one_with_a_hand_on_the_chin_is_chosen_for_its_gaze_alone(people, prices):
    wanted = people[PERSON]
    (handed,) = np.flatnonzero((prices["face"] > 0) & (prices["mouth"] == 0))
    want = {region: values[[handed] * 4] for region, values in own_features(wanted).items()}
    starts = np.array([True, False, False, False])
    assert (paths(wanted, want, starts)["face"] == handed).all()
    chosen = paths(wanted, want, starts, prices)
    assert (chosen["face"] != handed).all() and (chosen["eyes"] == handed).all()


def test_between_a_find_and_its_neighbours_all_are_looked_at(people):
    """Of 100 pictures a few more than the looks: one hand for nine of them is found from its first to its last."""
    own = people[PERSON]
    bare, handed = 7, int(np.flatnonzero(hand_prices(own)["mouth"])[0])
    shown = [handed if 45 <= k < 54 else bare for k in range(100)]
    asked = []

    def picture(k):
        asked.append(k)
        return own.picture(shown[k])

    clip = replace(own, landmarks=own.landmarks[shown], picture=picture)
    assert np.flatnonzero(hand_prices(clip)["mouth"]).tolist() == list(range(45, 54))
    assert len(asked) == len(set(asked)) < 50
