"""The part of the conversion that needs TensorFlow, run as a program by `streaming.flatbuffer`.

python -m streaming.freeze <architecture> <weights file> <litert | tensorflow> <output file>
python -m streaming.freeze download
"""

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from conf.errors import SetupError
from streaming import network
from streaming.flatbuffer import REFUSED


def flatbuffer(model: Any, *, half: bool = False) -> bytes:
    """Convert a Keras model to a LiteRT flatbuffer that takes one image of uint8 pixels a run.

    With `half` it holds float16 weights, in half the bytes; the interpreter computes in float32 all the same.
    """
    import tensorflow as tf

    one = tf.TensorSpec((1, *model.input_shape[1:]), tf.uint8)
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, input_signature=[one], verbose=False)  # the converter cannot freeze Keras 3 in memory
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        converted: bytes = converter.convert()
    return converted


def arrays(model: Any) -> bytes:
    """Pack the weights, in the order of `model.get_weights()`, as .npz."""
    packed = io.BytesIO()
    np.savez(packed, *model.get_weights())
    return packed.getvalue()


def main(arguments: list[str]) -> None:
    """Write what an engine is built from; where the weights are refused, say so on the last line and exit REFUSED."""
    if arguments == ["download"]:
        network.download_imagenet()
        return
    architecture, weights, engine, output = arguments
    try:
        model = network.load(architecture, Path(weights))
    except SetupError as error:
        sys.stderr.write(f"\n{error}\n")
        sys.exit(REFUSED)
    Path(output).write_bytes(flatbuffer(model) if engine == "litert" else arrays(model))


if __name__ == "__main__":
    main(sys.argv[1:])
