"""The part of the conversion that needs TensorFlow, run as a program by `streaming.flatbuffer`.

python -m streaming.freeze <architecture> <weights file> <litert | tensorflow> <output file>
python -m streaming.freeze download
"""

import io
import sys
import tempfile
from pathlib import Path

import numpy as np

from conf.errors import FruitsError
from streaming import network
from streaming.network import SIDE, keras


def flatbuffer(model: keras.Model) -> bytes:
    """Convert to a LiteRT flatbuffer of one float32 image a run, from uint8 pixels."""
    import tensorflow as tf

    one = keras.InputSpec(shape=(1, SIDE, SIDE, 3), dtype="uint8")
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, input_signature=[one], verbose=False)
        converted: bytes = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    return converted


def arrays(model: keras.Model) -> bytes:
    """Pack the weights, in the order of `model.get_weights()`, as .npz."""
    packed = io.BytesIO()
    np.savez(packed, *model.get_weights())
    return packed.getvalue()


def main(arguments: list[str]) -> None:
    """Write what an engine is built from; the last line on stderr says what went wrong."""
    if arguments == ["download"]:
        network.download()
        return
    architecture, weights, engine, output = arguments
    try:
        model = network.load(architecture, Path(weights))
    except FruitsError as error:
        sys.exit(str(error))
    Path(output).write_bytes(flatbuffer(model) if engine == "litert" else arrays(model))


if __name__ == "__main__":
    main(sys.argv[1:])
