"""Forgetting, killed at one step after the other: the next one goes on, and in the end nothing tells of it."""

from contextlib import closing

import pytest

from conf import forgetting
from conf.forgetting import Asked
from conf.s3 import control_client, object_store, read_object
from scripts.session import override
from streaming import leaving
from streaming.leaving import Left
from tests.asking import ask_to_forget
from tests.chaos.ground import Ground
from tests.chaos.points import FORGET_POINTS
from tests.integration.tables import rows

_DEATHS = ("rows counted out", "rows deleted", "tables done and not counted", "receipt written")


@pytest.mark.usefixtures("long_form")
def test_a_forgetting_killed_at_some_steps_is_finished(ground: Ground) -> None:
    _kill_at(ground, _DEATHS)


@pytest.mark.usefixtures("long_form")
def test_a_forgetting_killed_at_one_step_after_another_is_finished(ground: Ground) -> None:
    _kill_at(ground, tuple(FORGET_POINTS))


def _kill_at(ground: Ground, deaths: tuple[str, ...]) -> None:
    ground.settings = override(ground.settings, "pca", k=2)
    ground.drop(9, bad=2)
    ground.finish(refresh=True)
    storage, store = ground.settings.storage, object_store(ground.settings.storage)
    name, other = sorted(ground.expected)[:2]
    request = ask_to_forget(storage, Asked(keys=tuple(storage.landing + each for each, _ in (name, other))))
    for point in deaths:
        ground.die(FORGET_POINTS[point], "machine", stream=False, forget=True)
        ground.check_no_duplicates()
    ground.drop(1)
    # A stream can start on whatever was left; what is its part, it does first.
    ground.finish(forget=True)
    # What came after the refit that the forgetting made.
    ground.finish(refresh=True)
    for each in (name, other):
        del ground.expected[each]
    ground.check()
    ground.check_reduced()
    assert forgetting.requests(store, storage) == []
    assert leaving.read(store, storage) == Left(rows=2)
    assert read_object(store, storage.state_key(f"forgotten/{request.id}.json")) is not None
    with closing(control_client(storage)) as client:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=storage.bucket, Prefix=storage.prefix)
        for entry in (entry for page in pages for entry in page.get("Contents", [])):
            body = client.get_object(Bucket=storage.bucket, Key=entry["Key"])["Body"].read()
            assert not [each for each in (name[0], other[0]) if each.encode() in body], entry["Key"]
    assert len(rows(ground.settings, "reduced")) == len(rows(ground.settings, "features"))
