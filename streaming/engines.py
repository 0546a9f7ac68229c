"""What a Spark Python worker holds: the network, loaded once, from pixels to features.

LiteRT is what runs: on one core up to twice TensorFlow's speed, at a tenth of its memory. TensorFlow is the reference
that LiteRT is held to, and the way onto a GPU.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from conf.errors import SetupError


class Engine(Protocol):
    """A network ready to run.

    Attributes
    ----------
    batch : int
        Images a call that suit this engine; other numbers work too.
    """

    batch: int

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute the feature vectors of images.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (n, side, side, 3)
            RGB; n may be 0.

        Returns
        -------
        ndarray of float32, shape (n, d)
            All finite.

        Raises
        ------
        SetupError
            If a feature is not finite. Pixels always are, so the model is broken, not the image: the job must stop
            rather than refuse every image that comes.
        """


class LiteRTEngine:
    """A LiteRT interpreter on one thread, one image a run: Spark runs one worker a core, and larger runs gain nothing.

    A call takes sixteen all the same: network and decoder each drive the other's code and data out of the processor's
    caches, so taking turns after each image costs a tenth of the time.

    A flatbuffer given as a file is mapped, so that the processes of one machine share its pages.
    """

    batch = 16

    def __init__(self, flatbuffer: bytes | Path, model_id: str) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._model_id = model_id
        source = {"model_path": str(flatbuffer)} if isinstance(flatbuffer, Path) else {"model_content": flatbuffer}
        with _silent_stderr():
            # The default delegate is XNNPACK: three times the speed of the interpreter's own kernels.
            self._interpreter = Interpreter(**source, num_threads=1)
            self._interpreter.allocate_tensors()
        self._input: int = self._interpreter.get_input_details()[0]["index"]
        output = self._interpreter.get_output_details()[0]
        self._output: int = output["index"]
        self._dimension = int(output["shape"][-1])

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Engine."""
        features = np.empty((len(pixels), self._dimension), np.float32)
        for i in range(len(pixels)):
            self._interpreter.set_tensor(self._input, pixels[i : i + 1])
            self._interpreter.invoke()
            features[i] = self._interpreter.get_tensor(self._output)
        return _checked(features, self._model_id)


class TensorFlowEngine:
    """The Keras network rebuilt from its weight arrays, traced once for any number of images."""

    batch = 16  # on a CPU speed does not grow with it, on a GPU it does; activations do, 10 MB an image

    def __init__(self, architecture: str, arrays: bytes, model_id: str) -> None:
        with _silent_stderr():
            from streaming import network  # first: it says how TensorFlow is to be loaded

            import tensorflow as tf  # isort: skip

        self._model_id = model_id
        with suppress(RuntimeError):  # a process that has used TensorFlow before keeps the threads it has
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        model = network.bare(architecture)
        with np.load(io.BytesIO(arrays), allow_pickle=False) as packed:
            model.set_weights([packed[name] for name in packed.files])
        self._dimension: int = model.output_shape[-1]
        signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
        # There is no Python to translate, and a worker that is killed would leave the translation's file behind.
        self._run = tf.function(
            lambda pixels: model(pixels, training=False), input_signature=[signature], autograph=False
        )

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Engine."""
        starts = range(0, len(pixels), self.batch)
        chunks = [self._run(pixels[start : start + self.batch]).numpy() for start in starts]
        features = np.concatenate([np.empty((0, self._dimension), np.float32), *chunks])
        return _checked(features, self._model_id)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Drop what native libraries greet with on stderr while they load: not all of it heeds a log level."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _checked(features: NDArray[np.float32], model_id: str) -> NDArray[np.float32]:
    if not np.isfinite(features).all():
        raise SetupError(
            f"The model {model_id} gives features that are not finite, so its weights are broken: "
            "check the weights file, then start again. No image was refused for it."
        )
    return features
