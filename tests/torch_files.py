"""Files as torch wrote them before its zip format, spelled in pickle's opcodes, as torch is not here to write them."""

import pickle
import struct
from typing import Any

HEAD = b"".join(pickle.dumps(part, protocol=2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
ORDER = pickle.dumps(["0"], protocol=2)


def state_dict(
    shape: tuple[int, ...] = (3, 2), strides: tuple[int, ...] = (2, 1), elements: range = range(6), offset: int = 0
) -> bytes:
    """A file of one float32 array, `a`."""
    arrays = b"}" + opcodes("a") + tensor(len(elements), offset, shape, strides) + b"s"
    raw = struct.pack(f"<q{len(elements)}f", len(elements), *elements)
    return HEAD + stream(arrays) + ORDER + raw


def tensor(size: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """Opcodes that leave one array of the storage `0`."""
    storage = b"(" + opcodes("storage") + name("torch", "FloatStorage") + opcodes("0", "cpu", size, None) + b"tQ"
    told = storage + opcodes(offset, shape, strides, False) + b"}"
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + told + b"tR"


def name(module: str, attribute: str) -> bytes:
    """The opcode that looks up a name."""
    return f"c{module}\n{attribute}\n".encode()


def opcodes(*values: Any) -> bytes:
    """Opcodes that leave plain values."""
    return b"".join(pickle.dumps(value, protocol=2)[2:-1] for value in values)


def stream(body: bytes) -> bytes:
    """One whole pickle."""
    return b"\x80\x02" + body + b"."
