"""Keys are found in bytes however they are written and cut, and nothing else is."""

import json
from urllib.parse import quote, quote_plus

import numpy as np
import pytest

from conf.spellings import Needles, spellings

KEY = "landing/poire d'été/anna müller+1.jpg"


@pytest.mark.parametrize(
    "text", [KEY, quote(KEY), quote(KEY, safe=""), quote_plus(KEY), quote_plus(KEY, safe="/"), json.dumps(KEY)]
)
def test_a_key_is_found_in_each_of_its_spellings(text: str) -> None:
    assert Needles(spellings(KEY)).first_in(f"some {text} text".encode())


def test_pieces_make_no_difference() -> None:
    rng = np.random.default_rng(1)
    names = [f"landing/{folder:06}/{number}.jpg" for folder, number in rng.integers(10**6, size=(500, 2))]
    needles = Needles(name.encode() for name in names)
    filling = rng.bytes(4000)
    for name in names[::25]:
        at = int(rng.integers(len(filling)))
        data = filling[:at] + name.encode() + filling[at:]
        cuts = sorted(rng.choice(len(data), 40, replace=False).tolist())
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert needles.first_in(data) == needles.first_in_all(pieces) == name.encode()
    assert needles.first_in_all([filling[:7], filling[7:], b""]) is None
    assert Needles([]).first_in_all([filling]) is None


def test_a_longer_key_that_begins_alike_is_another_one() -> None:
    needles = Needles([b"landing/a.jp"], [b"landing/a.jpg"])
    for data in (b"xx landing/a.jpg", b"landing/a.jpglanding/a.jpg"):
        assert needles.first_in(data) is None
        assert needles.first_in_all(bytes([byte]) for byte in data) is None
    data = b"landing/a.jpg landing/a.jp"
    assert needles.first_in(data) == needles.first_in_all([data[:13], data[13:]]) == b"landing/a.jp"


def test_what_would_be_found_everywhere_is_not_looked_for() -> None:
    with pytest.raises(ValueError, match="too short"):
        Needles([b"a.jpg"])
