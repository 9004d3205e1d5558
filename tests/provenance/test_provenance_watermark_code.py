import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photodouble.provenance.watermark_code import (
    CHIPS,
    WORDS,
    carriers,
    chips,
    decode,
    identifier_of,
    payload_of,
    walsh,
)

identifiers = st.integers(0, (1 << 24) - 1)


def test_the_carriers_are_the_same_everywhere_and_always():
    """A change here makes every mark that was ever written unreadable."""
    known = carriers()
    told = b"".join(column.astype("<i4").tobytes() for column in (known.v, known.u, known.word, known.chip, known.sign))
    assert hashlib.sha256(told).hexdigest() == "fa20f1bde477e27c724f7ca849dae33a9d75a278f816db7787e0f24bcbd7f869"


def test_every_word_has_every_chip_equally_often_at_every_frequency():
    known = carriers()
    cells = (known.word * CHIPS + known.chip).reshape(-1, WORDS * CHIPS)
    assert (np.sort(cells, axis=1) == np.arange(WORDS * CHIPS)).all()
    assert (np.diff(known.radius) >= -1e-6).all()


@given(identifiers)
def test_a_payload_survives_noise_as_strong_as_itself(identifier):
    payload = payload_of(identifier)
    noise = np.random.default_rng(identifier).normal(0, 1, (4, CHIPS))
    found, peaks = decode(chips(payload)[1:] + noise)
    assert identifier_of(found) == identifier
    assert (peaks > 5).all()


@given(identifiers, st.integers(0, 31))
def test_the_check_sees_any_wrong_bit(identifier, bit):
    assert identifier_of(payload_of(identifier) ^ 1 << bit) is None


def test_of_random_payloads_one_in_256_passes_the_check():
    payloads = np.random.default_rng(0).integers(0, 1 << 32, 20_000)
    passed = sum(identifier_of(int(payload)) is not None for payload in payloads)
    assert 40 < passed < 130


def test_words_are_orthogonal_or_opposite():
    table = walsh()
    np.testing.assert_array_equal(table @ table.T, CHIPS * np.eye(CHIPS))


@pytest.mark.parametrize("identifier", [-1, 1 << 24])
def test_an_identifier_has_24_bits(identifier):
    with pytest.raises(ValueError):
        payload_of(identifier)
