"""The networks that are shipped: the project's own, and drawn ones of any size. Importing this loads TensorFlow."""

import math
from itertools import pairwise

from streaming import network
from streaming.weights import wheel_weights

import keras  # isort: skip (streaming.network says how TensorFlow is to be loaded)
from keras import layers

_STEM = (32, 64, 128, 256)
_BODY = 3
_FEATURES = 1280


def build(name: str) -> keras.Model:
    """Build `lite0`, the default network with its ImageNet weights, or `<N>mb`, one with N MB of drawn weights."""
    if name == "lite0":
        return network.load("efficientnet_lite0", wheel_weights())
    return _drawn(int(name.removesuffix("mb")))


def _drawn(megabytes: int) -> keras.Model:
    """A plain stack of convolutions; most of the weights are in three wide ones over 7 x 7 pixels."""
    keras.utils.set_random_seed(7)
    width = _width(megabytes * 1_000_000 / 4)
    inputs = keras.Input((network.SIDE, network.SIDE, 3), dtype="uint8")
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    for channels, strides in (*((channels, 2) for channels in (*_STEM, width)), *[(width, 1)] * _BODY):
        convolve = layers.Conv2D(
            channels, 3, strides=strides, padding="same", activation="relu", kernel_initializer="he_normal"
        )
        x = convolve(x)
    return keras.Model(inputs, layers.Dense(_FEATURES)(layers.GlobalAveragePooling2D()(x)))


def _width(parameters: float) -> int:
    """Channels of the body that make up so many parameters with the rest: 27 w^2 + (9 x 256 + 1280) w of them."""
    rest = parameters - sum(9 * before * after for before, after in pairwise((3, *_STEM)))
    squared, linear = _BODY * 9, 9 * _STEM[-1] + _FEATURES
    return round((math.sqrt(linear**2 + 4 * squared * rest) - linear) / (2 * squared))
