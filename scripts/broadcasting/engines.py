"""Two more engines than the stream needs: plain Keras, and LiteRT with packed weights that processes share."""

import fcntl
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class KerasEngine:
    """The Keras model, rebuilt from its config and its weights."""

    batch = 16

    def __init__(self, model: tuple[str, list[NDArray[Any]]]) -> None:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        import keras
        import tensorflow as tf

        # Spark runs one worker a core.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        config, weights = model
        self._model = keras.models.model_from_json(config)
        self._model.set_weights(weights)

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Of up to sixteen images."""
        features: NDArray[np.float32] = self._model.predict_on_batch(pixels)
        return features


class PackedEngine:
    """LiteRT on weights that were packed once a machine, into a file that all processes map.

    XNNPACK, which computes for LiteRT, lays weights out anew for its kernels. An Interpreter does so in memory of its
    own, in each process; a CompiledModel can be given a file for it. The first process makes the file, the others wait.
    """

    batch = 16

    def __init__(self, flatbuffer: Path) -> None:
        packed = flatbuffer.with_suffix(".packed")
        with flatbuffer.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not packed.exists():
                _compiled(flatbuffer, packed)  # and let go of: who packs holds more than who maps what is packed
            self._model = _compiled(flatbuffer, packed)
        self._inputs = self._model.create_input_buffers(0)
        self._outputs = self._model.create_output_buffers(0)
        (output,) = self._model.get_output_tensor_details("serving_default").values()
        self._dimension = int(output["shape"][-1])

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Of any number of images."""
        features = np.empty((len(pixels), self._dimension), np.float32)
        for i in range(len(pixels)):
            self._inputs[0].write(pixels[i : i + 1])
            self._model.run_by_index(0, self._inputs, self._outputs)
            features[i] = self._outputs[0].read(self._dimension, np.float32)
        return features


def _compiled(flatbuffer: Path, packed: Path) -> Any:
    from ai_edge_litert.compiled_model import CompiledModel, CpuOptions, HardwareAccelerator, Options

    cpu = CpuOptions(num_threads=1, xnnpack_weight_cache_path=str(packed))
    return CompiledModel.from_file(
        str(flatbuffer), options=Options(hardware_accelerators=HardwareAccelerator.CPU, cpu_options=cpu)
    )
