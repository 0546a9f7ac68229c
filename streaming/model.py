"""The model of a stream: which network, from which weights, and how a worker gets it.

    model = load_model("efficientnet_lite0", "wheel", "litert")           # on the driver, once
    weights = spark.sparkContext.broadcast(model.payload)                 # 13 MB, sent to each executor once
    ...
    engine = engine_of(recipe, lambda: weights.value)                     # in a worker; recipe = model.recipe
    features = engine.features(pixels)

A recipe is a few words and travels with every task. The payload is megabytes and must not: close over `model.recipe`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast, get_args

from conf.errors import SettingsError, SetupError
from streaming import flatbuffer
from streaming.engines import Engine, LiteRTEngine, TensorFlowEngine
from streaming.weights import wheel_weights

__all__ = ["Engine", "EngineName", "Model", "Recipe", "engine_of", "identify", "load_model", "weights_path"]

EngineName = Literal["litert", "tensorflow"]
_SIDE: Final = 224
_DIMENSION: Final = 1280  # of both networks
_PREPROCESSING: Final = f"rgb{_SIDE}-bilinear"
_BUILT_IN: Final = {"efficientnet_lite0": "wheel", "mobilenet_v2": "imagenet"}


@dataclass(frozen=True)
class Recipe:
    """What names a model's features, and says how to build its engine from the payload.

    Attributes
    ----------
    model_id : str
        `<architecture>/<first 12 hex digits of the weights file's sha256>/<preprocessing>`. Features of one id can be
        compared. The engine is not in it, because engines agree.
    architecture : str
    engine : {"litert", "tensorflow"}
    dimension : int
        Length of a feature vector.
    side : int
        Images go in as (side, side, 3) uint8 RGB.
    """

    model_id: str
    architecture: str
    engine: EngineName
    dimension: int = _DIMENSION
    side: int = _SIDE


@dataclass(frozen=True)
class Model:
    """A recipe and the bytes to broadcast."""

    recipe: Recipe
    payload: bytes = field(repr=False)


def load_model(architecture: str, weights: str, engine: str = "litert", cache: Path = flatbuffer.CACHE) -> Model:
    """Find the weights and turn them into what workers build their engine from.

    Parameters
    ----------
    architecture : {"efficientnet_lite0", "mobilenet_v2"}
    weights : str
        "wheel" (efficientnet_lite0, from the installed package), "imagenet" (mobilenet_v2, downloaded once), or the
        path of a file: a torch state dict for efficientnet_lite0, Keras HDF5 without classifier for mobilenet_v2.
    engine : {"litert", "tensorflow"}
    cache : Path
        Folder of finished conversions: the first takes half a minute, later calls a tenth of a second.

    Raises
    ------
    SettingsError
        If architecture, weights or engine is a name that does not exist.
    SetupError
        If the weights are not there, cannot be downloaded, or are those of another network.
    """
    _check("model.architecture", architecture, tuple(_BUILT_IN))
    _check("model.engine", engine, get_args(EngineName))
    path = weights_path(architecture, weights, cache)
    payload = flatbuffer.freeze(architecture, path, engine, cache)
    return Model(Recipe(_model_id(architecture, path), architecture, cast(EngineName, engine)), payload)


def identify(architecture: str, weights: str, cache: Path = flatbuffer.CACHE) -> str:
    """The model_id that `load_model` would give, at the cost of reading the weights file: nothing is converted.

    Raises
    ------
    SettingsError, SetupError
        As for `load_model`, but for weights that are those of another network.
    """
    _check("model.architecture", architecture, tuple(_BUILT_IN))
    return _model_id(architecture, weights_path(architecture, weights, cache))


def weights_path(architecture: str, weights: str, cache: Path = flatbuffer.CACHE) -> Path:
    """Find the weights file that a setting means.

    Raises
    ------
    SettingsError, SetupError
        As for `load_model`.
    """
    built_in = _BUILT_IN[architecture]
    if weights == built_in:
        return wheel_weights() if weights == "wheel" else flatbuffer.download_imagenet(cache)
    if weights in _BUILT_IN.values():
        raise SettingsError(
            f"model.weights is {weights!r}, which {architecture} does not have: "
            f"choose {built_in!r} or the path of a weights file."
        )
    path = Path(weights).expanduser()
    if not path.is_file():
        # It was one on the machine that deployed this environment.
        path = flatbuffer.SHIPPED / path.name
    if not path.is_file():
        raise SetupError(
            f"model.weights is {weights!r}, and there is no such file: mend the path, or choose {built_in!r}."
        )
    return path


_held: dict[Recipe, Engine] = {}


def engine_of(recipe: Recipe, payload: Callable[[], bytes]) -> Engine:
    """Give this process's engine, built at the first call (0.2 s for LiteRT, 3 s for TensorFlow) and kept.

    The payload is asked for only then: a worker that has an engine need not read megabytes of broadcast again.
    """
    if recipe not in _held:
        _held.clear()  # a worker can outlive a stream: the model before must not stay in memory beside this one
        if recipe.engine == "litert":
            _held[recipe] = LiteRTEngine(payload(), recipe.model_id)
        else:
            _held[recipe] = TensorFlowEngine(recipe.architecture, payload(), recipe.model_id)
    return _held[recipe]


def _model_id(architecture: str, path: Path) -> str:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{architecture}/{digest[:12]}/{_PREPROCESSING}"


def _check(setting: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SettingsError(f"{setting} is {value!r}, which does not exist: choose {' or '.join(choices)}.")
