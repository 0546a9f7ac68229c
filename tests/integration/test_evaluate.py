"""Which photographs an evaluation draws and holds out, and what it says of them."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from batch.evaluate import Summary, run
from conf.errors import DataError
from conf.settings import Settings
from scripts.session import override
from tests.integration.features import MODEL, Rows
from tests.integration.hand_written import D, HandWritten

KINDS = ("apple", "banana", "cherry", "date")


def photographs(
    numbers: Sequence[int], vectors: NDArray[np.float32], labels: Sequence[str], manifest: int = 1, copies_of: int = 0
) -> pa.Table:
    """Rows of photographs; the content of one is that of the one `copies_of` before it, if that is given."""
    rows = Rows(numbers, vectors, manifest).table()
    digests = [hashlib.sha256(str(number - copies_of).encode()).hexdigest() for number in numbers]
    for name, column in (("sha256", digests), ("label", list(labels))):
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array(column))
    return rows


def kinds_apart(n: int, seed: int = 0) -> tuple[NDArray[np.float32], list[str]]:
    """Four kinds that lie apart along two axes, in which all features take part."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, len(KINDS), n)
    axes = np.array([[1, 1, 1, 1, 1, 1], [1, -1, 1, -1, 1, -1]])
    means = np.array([[4, 0], [-4, 0], [0, 4], [0, -4]])[kinds] @ axes
    return (means + rng.standard_normal((n, D))).astype(np.float32), [KINDS[kind] for kind in kinds]


@pytest.fixture
def table(settings: Settings) -> HandWritten:
    return HandWritten(settings.storage)


def test_kinds_that_lie_apart_in_two_axes_are_told_by_two(table: HandWritten, settings: Settings) -> None:
    table.append_rows(photographs(range(500), *kinds_apart(500)))
    found = run(override(settings, "pca", k=3))
    assert found.fitted + found.held_out == 500
    assert 60 < found.held_out < 140
    assert (found.labels, found.left_out, found.neighbours, found.k) == (4, 0, 5, 3)
    assert [quality.k for quality in found.reduced] == [1, 2, 3, 4]
    assert (found.enough, found.parallel_analysis) == (2, 2)
    assert found.reduced[0].neighbours < 0.9 < 0.99 < found.reduced[1].neighbours
    assert 0.1 < found.most_frequent < 0.5
    assert (found.features_version, found.model_id) == (table.version, MODEL)


def test_the_same_photographs_are_held_out_at_each_run_however_they_lie(table: HandWritten, settings: Settings) -> None:
    vectors, labels = kinds_apart(300)
    for part in (slice(0, 100), slice(100, 300)):
        table.append_rows(photographs(range(300)[part], vectors[part], labels[part]))
    found = [run(settings)]
    table.compact()
    found.append(run(settings))
    told = [(s.fitted, s.held_out, [quality.neighbours for quality in s.reduced], s.features.purity) for s in found]
    assert told[0] == told[1]


def test_copies_of_a_photograph_are_on_the_same_side(table: HandWritten, settings: Settings) -> None:
    # Labels that mean nothing: only a copy of itself could tell a photograph's.
    vectors = np.random.default_rng(0).standard_normal((400, D)).astype(np.float32)
    labels = [KINDS[kind] for kind in np.random.default_rng(1).integers(0, len(KINDS), 400)]
    table.append_rows(photographs(range(400), vectors, labels))
    table.append_rows(photographs(range(400, 800), vectors, labels, copies_of=400))
    found = run(settings, neighbours=1)
    assert found.fitted + found.held_out == 800
    assert found.features.neighbours < 0.5


def test_about_as_many_are_drawn_as_are_asked_for(table: HandWritten, settings: Settings) -> None:
    table.append_rows(photographs(range(2000), *kinds_apart(2000)))
    found = run(settings, rows=400)
    assert 320 < found.fitted + found.held_out < 480


def test_only_the_newest_version_of_a_photograph_counts(table: HandWritten, settings: Settings) -> None:
    vectors, labels = kinds_apart(300)
    table.append_rows(photographs(range(300), np.random.default_rng(9).standard_normal((300, D)), labels[::-1]))
    table.append_rows(photographs(range(300), vectors, labels, manifest=2))
    found = run(settings, rows=300)
    assert found.fitted + found.held_out == 300
    assert found.features.neighbours > 0.99


def test_photographs_that_nothing_can_be_told_of_are_left_out_and_counted(
    table: HandWritten, settings: Settings
) -> None:
    vectors, labels = kinds_apart(300)
    table.append_rows(photographs(range(300), vectors, ["", "", *labels[2:]]))
    everything = run(settings)
    assert everything.left_out == 2
    # Twenty kinds of one photograph each: those held out have none that could tell them.
    table.append_rows(photographs(range(300, 320), vectors[:20], [f"rare {i}" for i in range(20)]))
    found = run(settings)
    assert 0 < found.left_out - 2 < 20
    assert found.labels == len(KINDS) + 20 - (found.left_out - 2)
    assert found.fitted + found.held_out + found.left_out == 320


def refusal(settings: Settings, **asked: object) -> str:
    def ask() -> Summary:
        return run(settings, **asked)  # type: ignore[arg-type]

    with pytest.raises(DataError) as refused:
        ask()
    return str(refused.value)


def test_what_is_too_little_to_tell_by_is_refused(table: HandWritten, settings: Settings) -> None:
    assert "has no rows" in refusal(settings)
    vectors, labels = kinds_apart(300)
    table.append_rows(photographs(range(300), vectors, ["apple"] * 300))
    assert refusal(settings).startswith("300 photographs of 1 labels are too few")
    table.append_rows(photographs(range(300), vectors, [""] * 300, manifest=2))
    assert refusal(settings).startswith("0 photographs of 0 labels are too few")
    table.append_rows(photographs(range(300), vectors, labels, manifest=3))
    assert "are too few to hold some out and ask 290 neighbours" in refusal(settings, neighbours=290)
    assert f"k is 7, and {run(settings).fitted} photographs of 6 features span 6 components" in refusal(
        settings, ks=[7]
    )
    # All that the model has made has been made again since, by another one.
    table.append(range(300), model="another/model/id")
    assert refusal(settings).startswith("0 photographs of 0 labels are too few")
