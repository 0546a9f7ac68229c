"""Objects that no honest camera wrote, thousands of them, drawn by code from seeds.

Each says what may become of it: nothing but a refusal (bombs, other formats), nothing but a photograph (good pixels
under bad metadata), or either (damage). Object names are no part of it: `decode` sees bytes alone, so that a wrong
extension cannot matter.
"""

from collections.abc import Iterator

from tests.property.bombs import bombs, deep_animations, near_bombs
from tests.property.damage import cut, flipped, noise, spliced
from tests.property.fields import absurd_fields
from tests.property.metadata import bad_metadata
from tests.property.objects import Hostile
from tests.property.oversized import oversized
from tests.property.strangers import other_formats, polyglots


def hostile_objects(rounds: int = 1) -> Iterator[Hostile]:
    """All families; `rounds` multiplies those that are drawn at random."""
    for family in (
        cut,
        oversized,
        bombs,
        near_bombs,
        deep_animations,
        bad_metadata,
        absurd_fields,
        polyglots,
        other_formats,
    ):
        yield from family()
    for seed in range(rounds):
        for drawn in (flipped, spliced, noise):
            yield from drawn(seed)
