"""What a hostile object is, and what all families of them are made of."""

from typing import Literal, NamedTuple

from tests.unit.image_corpus import small_files

Fate = Literal["refused", "shown", "either"]

MAX_PIXELS = 4_000_000
"""The limit that the corpus is decoded under: some of it lies just below."""

CANARY = b"PrivateWordsOfTheObject"
"""Stands in comments, texts and profiles, and must never come out in a detail."""

SMALL = small_files()


class Hostile(NamedTuple):
    """An object, named for what is wrong with it."""

    name: str
    data: bytes
    fate: Fate
