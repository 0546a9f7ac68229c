"""A TensorFlow model's weights to Spark's workers by broadcast, predictions in parallel: the technique, and its price.

    python -m scripts.script_broadcast_tensorflow
    python -m scripts.script_broadcast_tensorflow --model lite0 --images 1000
    python -m scripts.script_broadcast_tensorflow --model 250mb --json

The technique is `Predict` and `by_broadcast`; the rest of this file are other ways to do the same, to compare it with.
docs/broadcast.md says what came out.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from conf.settings import Settings
from scripts.session import one_message, override, say, spark_session, takes_settings

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark import SparkContext

    from scripts.broadcasting.preparation import Prepared
    from streaming.engines import Engine

FEATURES: Final = "id BIGINT, features ARRAY<FLOAT>"

# Of each worker process, by model. Spark keeps its workers from task to task, and with them what a module holds.
_engines: dict[str, "Engine"] = {}


@dataclass(frozen=True)
class Predict:
    """A function for `DataFrame.mapInArrow`. It goes out with every query, so the weights are not in it."""

    model_id: str
    weights: Callable[[], Any]
    build: Callable[[Any], "Engine"]
    keep: bool = True

    def __call__(self, batches: Iterable["pa.RecordBatch"]) -> Iterator["pa.RecordBatch"]:
        import pyarrow as pa

        from batch.arrow import lists_of
        from scripts.broadcasting.images import draw

        for batch in batches:
            engine = self._engine()
            for first in range(0, batch.num_rows, engine.batch):
                ids = batch.column("id").slice(first, engine.batch)
                pixels = draw(ids.to_pylist())  # yours: fetch and decode (streaming/featurize.py)
                yield pa.RecordBatch.from_arrays([ids, lists_of(engine.features(pixels))], ["id", "features"])

    def _engine(self) -> "Engine":
        if not self.keep:
            return self.build(self.weights())
        if self.model_id not in _engines:
            _engines[self.model_id] = self.build(self.weights())
        return _engines[self.model_id]


def by_broadcast(context: "SparkContext", weights: Any) -> Callable[[], Any]:
    """Send weights to each machine once. What is returned carries their number there, and in a worker gives them."""
    broadcast = context.broadcast(weights)
    return lambda: broadcast.value


def by_file(context: "SparkContext", weights: Path) -> Callable[[], Path]:
    """Send a file to each machine once, for its workers to map: none has a copy of its own in memory."""
    from pyspark import SparkFiles

    context.addFile(str(weights))
    name = weights.name
    return lambda: Path(SparkFiles.get(name))


def by_closure(_: "SparkContext", weights: Any) -> Callable[[], Any]:
    """What not to do: weights that are part of the function are pickled for each query, and unpickled for each task."""
    return lambda: weights


@dataclass(frozen=True)
class Way:
    """One way from a prepared model to predictions."""

    says: str
    form: str
    weights: Callable[["Prepared"], Any]
    ship: Callable[["SparkContext", Any], Callable[[], Any]]
    build: Callable[[Any], "Engine"]
    keep: bool = True
    compress: bool = True


def keras_engine(model: Any) -> "Engine":
    """TensorFlow itself: from a config and `model.get_weights()`."""
    from scripts.broadcasting.engines import KerasEngine

    return KerasEngine(model)


def litert_engine(flatbuffer: bytes | Path) -> "Engine":
    """The frozen model, without TensorFlow."""
    from streaming.engines import LiteRTEngine

    return LiteRTEngine(flatbuffer, "of this comparison")


def packed_engine(flatbuffer: Path) -> "Engine":
    """The frozen model, its weights laid out for the processor once a machine."""
    from scripts.broadcasting.engines import PackedEngine

    return PackedEngine(flatbuffer)


def float32(prepared: "Prepared") -> bytes:
    """The flatbuffer's bytes."""
    return prepared.float32.read_bytes()


WAYS: Final = {
    "keras": Way(
        "arrays by broadcast, Keras rebuilt in each worker", "keras", lambda p: p.keras, by_broadcast, keras_engine
    ),
    "float32": Way("frozen, by broadcast", "float32", float32, by_broadcast, litert_engine),
    "raw": Way(
        "the same, spark.broadcast.compress off", "float32", float32, by_broadcast, litert_engine, compress=False
    ),
    "float16": Way(
        "frozen with float16 weights, by broadcast",
        "float16",
        lambda p: p.float16.read_bytes(),
        by_broadcast,
        litert_engine,
    ),
    "mapped": Way("the float32 file, mapped by all workers", "float32", lambda p: p.float32, by_file, litert_engine),
    "packed": Way("the same, packed weights mapped, too", "float32", lambda p: p.float32, by_file, packed_engine),
    "closure": Way(
        "float32 in the function, built anew for each batch", "float32", float32, by_closure, litert_engine, keep=False
    ),
}


class _Network(click.ParamType[str]):
    """`lite0`, or a size such as `100mb`."""

    name = "lite0|<N>mb"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        drawn = re.fullmatch(r"([1-9]\d*)mb", value)
        if value != "lite0" and not (drawn and 3 <= int(drawn[1]) <= 1000):
            self.fail(f"{value!r} is no model: give lite0, or a size from 3mb to 1000mb.", param, ctx)
        return value


class _Command(click.Command):
    """Exit status: 0 done, 1 failed, 2 misuse, 130 interrupted, 143 terminated."""

    def invoke(self, ctx: click.Context) -> object:
        with one_message(ctx):
            return super().invoke(ctx)


@click.command(cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})
@takes_settings
@click.option(
    "--model",
    "models",
    type=_Network(),
    multiple=True,
    default=("lite0", "100mb", "500mb"),
    show_default=True,
    help="lite0, the project's own, or a network of so many MB of drawn weights; repeatable.",
)
@click.option(
    "--images", type=click.IntRange(1), help="To predict on, in each query. Default: fewer, the larger the model."
)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Python workers, of a core each.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, models: tuple[str, ...], images: int | None, workers: int, as_json: bool) -> None:
    """Predict with TensorFlow models on local Spark, their weights shipped in several ways, and compare these.

    Needs no S3 and no network. The three models take some ten minutes, two processor cores and 6 GB.

    \b
    python -m scripts.script_broadcast_tensorflow --model lite0
    python -m scripts.script_broadcast_tensorflow --model 250mb --images 64 --json
    """
    from scripts.broadcasting.show import show

    # No store is asked for anything, and Spark wants to know where one would be.
    settings = override(override(settings, "storage", endpoint=None), "spark", master=f"local[{workers}]")
    figures = []
    for model in models:
        count = images or _images(model)
        found = compare(settings, model, count, workers)
        figures += found
        if not as_json:
            show({figure.way: figure for figure in found}, {name: way.says for name, way in WAYS.items()})
    if as_json:
        click.echo(json.dumps([asdict(figure) for figure in figures], indent=2))


def compare(settings: Settings, model: str, images: int, workers: int) -> list[Any]:
    """Prepare a model once, and measure each way in a Spark session of its own: new workers, nothing kept.

    Returns
    -------
    list of scripts.broadcasting.measure.Figures
    """
    from conf.spark_errors import explained
    from scripts.broadcasting.measure import measure
    from scripts.broadcasting.preparation import prepare

    found = []
    with tempfile.TemporaryDirectory(prefix="fruits-broadcast-") as name:
        folder = Path(name)
        say(f"{model}: preparing it")
        prepared = prepare(model, images, folder)
        for name, way in WAYS.items():
            say(f"{model}: {name}, {way.says}")
            options = settings.spark.options | {"spark.broadcast.compress": str(way.compress).lower()}
            chosen = override(settings, "spark", options=options)
            with explained(), spark_session(chosen, store=False, leftovers=[folder]) as spark:
                found.append(measure(spark, model, name, way, prepared, images, workers))
    return found


def _images(model: str) -> int:
    return 400 if model == "lite0" else min(400, max(16, 6400 // int(model.removesuffix("mb"))))


if __name__ == "__main__":
    # As a program this file is `__main__`, which workers do not have: pickled with what it holds, it would be another,
    # with no engines yet, for each task. So the work is done by what they can import.
    from scripts.script_broadcast_tensorflow import command as importable

    importable()
