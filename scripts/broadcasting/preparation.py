"""A network in the forms that can be shipped, as files; made in a process of its own, which alone loads TensorFlow.

python -m scripts.broadcasting.preparation <network> <images> <folder>
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conf.errors import SetupError
from scripts.broadcasting.images import draw


@dataclass(frozen=True)
class Prepared:
    """A folder with one network's forms, and what Keras itself predicts."""

    folder: Path

    @property
    def keras(self) -> tuple[str, list[NDArray[Any]]]:
        """The model's config, and its weights as `model.get_weights()` gives them."""
        with np.load(self.folder / "weights.npz", allow_pickle=False) as packed:
            return (self.folder / "config.json").read_text(), [packed[name] for name in packed.files]

    @property
    def float32(self) -> Path:
        """A LiteRT flatbuffer."""
        return self.folder / "float32.tflite"

    @property
    def float16(self) -> Path:
        """The same network, its weights rounded to float16."""
        return self.folder / "float16.tflite"

    @property
    def reference(self) -> NDArray[np.float32]:
        """Features (images, d) of the images 0, 1, ... by Keras."""
        features: NDArray[np.float32] = np.load(self.folder / "reference.npy", allow_pickle=False)
        return features

    @property
    def seconds(self) -> dict[str, float]:
        """What it took to make each form, by its name, once the Keras model was there."""
        told: dict[str, float] = json.loads((self.folder / "seconds.json").read_text())
        return told


def prepare(network: str, images: int, folder: Path) -> Prepared:
    """Make all forms of a network in a folder, which is there and empty.

    Raises
    ------
    SetupError
        Where TensorFlow cannot make them.
    """
    command = [sys.executable, "-m", __name__, network, str(images), str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    # It ends when its stdin does, and so with this process, however that ends.
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None  # noqa: S101 (it is a pipe: four lines up)
        said = child.stderr.read().strip().splitlines()
        if child.wait():
            raise SetupError(f"{network} cannot be prepared: {said[-1] if said else f'exit status {child.returncode}'}")
    return Prepared(folder)


def main(network: str, images: str, place: str) -> None:
    """Write the files that Prepared reads."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    from scripts.broadcasting.networks import build
    from streaming.freeze import arrays, flatbuffer

    folder, model = Path(place), build(network)
    forms: dict[str, tuple[str, Callable[[], bytes]]] = {
        "keras": ("weights.npz", lambda: arrays(model)),
        "float32": ("float32.tflite", lambda: flatbuffer(model)),
        "float16": ("float16.tflite", lambda: flatbuffer(model, half=True)),
    }
    seconds = {}
    for form, (name, make) in forms.items():
        begun = time.perf_counter()
        made = make()
        seconds[form] = time.perf_counter() - begun
        (folder / name).write_bytes(made)
    (folder / "config.json").write_text(model.to_json())
    (folder / "seconds.json").write_text(json.dumps(seconds))
    batches = [model.predict_on_batch(draw(range(first, last))) for first, last in _sixteens(int(images))]
    np.save(folder / "reference.npy", np.concatenate(batches))


def _sixteens(count: int) -> list[tuple[int, int]]:
    return [(first, min(first + 16, count)) for first in range(0, count, 16)]


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
