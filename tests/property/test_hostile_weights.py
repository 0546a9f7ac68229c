"""A weights file of somebody else's ends in arrays or in one message, and nothing that it says is ever done."""

import codecs
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conf.errors import SetupError
from streaming import weights
from streaming.weights import read_torch
from tests.torch_files import HEAD, ORDER, name, opcodes, state_dict, stream, tensor

FORBIDDEN = ("os.", "subprocess.", "socket.", "shutil.", "exec", "ctypes.", "marshal.", "code.", "import")
"""What nothing may do while a file is read, as Python's audit events call it; and no file may be opened for writing."""
GADGETS = [
    ("os", "system"),
    ("posix", "system"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "getattr"),
    ("builtins", "__import__"),
    ("subprocess", "Popen"),
    ("importlib", "import_module"),
    ("numpy", "load"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("operator", "attrgetter"),
    ("functools", "partial"),
    ("copyreg", "_reconstructor"),
    ("torch", "load"),
    ("torch", "DoubleStorage"),
    ("collections", "OrderedDict.__class__"),
    ("streaming.weights", "_Tensor"),
]
_watching = False
_seen: list[str] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    writes = event == "open" and isinstance(arguments[1], str) and any(sign in arguments[1] for sign in "wax+")
    if writes or event.startswith(FORBIDDEN):
        _seen.append(event)


sys.addaudithook(_hear)
# What Python loads by itself, the first time that it meets text so written.
for encoding in ("ascii", "latin-1", "utf-8", "raw-unicode-escape", "unicode-escape"):
    codecs.lookup(encoding)


def read(path: Path, data: bytes) -> str | None:
    """What is said of a file; None where it was read. Nothing was done for it but reading."""
    global _watching
    path.write_bytes(data)
    _seen.clear()
    _watching = True
    try:
        arrays = read_torch(path)
    except SetupError as error:
        said = str(error)
    else:
        said = None
        assert all(isinstance(array, np.ndarray) for array in arrays.values())
    finally:
        _watching = False
    assert _seen == []
    if said is not None:
        assert said.startswith(f"{path} cannot be read as a torch state dict")
        assert "\n" not in said
        assert len(said) < 600
    return said


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights") / "foreign.pth"


@pytest.fixture(autouse=True)
def nothing_is_altered() -> Iterator[None]:
    before = dict(vars(weights._Tensor)), dict(vars(weights._Rebuild)), dict(weights._Unpickler._known)
    yield
    assert (dict(vars(weights._Tensor)), dict(vars(weights._Rebuild)), dict(weights._Unpickler._known)) == before
    assert np.dtype("<f4") == np.float32


def test_what_is_fuzzed_is_read_where_nothing_is_wrong_with_it(path: Path) -> None:
    assert read(path, state_dict()) is None


@pytest.mark.parametrize("gadget", GADGETS, ids=".".join)
@pytest.mark.parametrize("place", ["magic", "state", "inside", "id", "order"])
def test_no_name_but_those_of_weights_is_looked_up(path: Path, gadget: tuple[str, str], place: str) -> None:
    ran = path.with_name("ran")
    call = name(*gadget) + opcodes(f"touch {ran}") + b"\x85R"
    whole = state_dict()
    data = {
        "magic": stream(call) + whole,
        "state": HEAD + stream(call) + ORDER,
        "inside": HEAD + stream(b"}" + opcodes("a") + call + b"s") + ORDER,
        "id": HEAD + stream(b"}" + opcodes("a") + call + b"Qs") + ORDER,
        "order": whole.replace(ORDER, stream(call)),
    }[place]
    said = read(path, data)
    assert said is not None
    assert "it calls for" in said
    assert not ran.exists()


def test_the_payload_would_have_run_by_pickles_own_reader(path: Path) -> None:
    ran = path.with_name("ran by pickle")
    pickle.loads(stream(name("os", "system") + opcodes(f"touch '{ran}'") + b"\x85R"))  # noqa: S301 (that is the point)
    assert ran.exists()


ATTRIBUTES = ["cut", "__call__", "__class__", "__setstate__", "__reduce__", "items", "values", "shape"]


@pytest.mark.parametrize("attribute", ATTRIBUTES)
@pytest.mark.parametrize(
    "target",
    [
        name("torch._utils", "_rebuild_tensor_v2"),
        name("collections", "OrderedDict"),
        name("collections", "OrderedDict") + b")R",
        name("torch", "FloatStorage"),
        tensor(6, 0, (3, 2), (2, 1)),
    ],
    ids=["function", "class", "dict", "storage", "array"],
)
def test_nothing_that_a_name_stands_for_can_be_altered(path: Path, target: bytes, attribute: str) -> None:
    pair = b"}" + opcodes(attribute) + name("collections", "OrderedDict") + b"s"
    for state in (pair, b"N" + pair + b"\x86"):
        read(path, HEAD + stream(target + state + b"b") + ORDER)
        assert OrderedDict(a=1).items() == {"a": 1}.items()
    assert read(path, state_dict()) is None


def test_an_array_that_the_dict_names_is_read_whatever_methods_the_file_gives_the_dict(path: Path) -> None:
    body = name("collections", "OrderedDict") + b")R" + opcodes("a") + tensor(6, 0, (3, 2), (2, 1)) + b"s"
    altered = body + b"}" + opcodes("items") + name("collections", "OrderedDict") + b"sb"
    raw = struct.pack("<q6f", 6, *range(6))
    path.write_bytes(HEAD + stream(altered) + ORDER + raw)
    assert read_torch(path)["a"].tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"N" + b"r" + struct.pack("<I", 2**31 - 1), "notes 2,147,483,647 things"),
        (b"\x8d" + struct.pack("<Q", 2**62), "BINUNICODE8|cannot be read"),
        (b"\x8e" + struct.pack("<Q", 2**40), "cannot be read"),
        (b"\x96" + struct.pack("<Q", 2**40), "cannot be read"),
        (b"\x8b" + struct.pack("<i", 2**31 - 1), "cannot be read"),
        (b"\x95" + struct.pack("<Q", 2**62), "cannot be read"),
        (b"N" * 1_000_001, "opcode 1000000 is"),
        (tensor(2**62, 0, (2**62,), (1,)), "cannot be read"),
        (b"}" + opcodes("a") + tensor(2**62, 0, (2**62,), (1,)) + b"s", "it ends early"),
        (b"}" + opcodes("a") + tensor(-1, 0, (2,), (1,)) + b"s", "it ends early"),
        (b"}" + opcodes("a") + tensor(0, 0, (9,) * 100_000, (0,) * 100_000) + b"s", "100000 dimensions|it ends early"),
    ],
)
def test_numbers_that_ask_for_all_memory_are_not_believed(path: Path, body: bytes, says: str) -> None:
    before = _peak()
    said = read(path, HEAD + stream(body) + ORDER + struct.pack("<q", 0))
    assert said is not None
    assert any(part in said for part in says.split("|")), said
    assert _peak() - before < 300


def test_a_zip_that_unfolds_to_gigabytes_is_never_unfolded(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**27))
    data = path.read_bytes()
    before = _peak()
    assert read(path, data) is not None
    assert _peak() - before < 100


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_anywhere_is_one_message_or_harmless(path: Path, data: st.DataObject) -> None:
    whole = bytearray(state_dict())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        piece = data.draw(st.binary(max_size=6))
        whole[at : at + data.draw(st.integers(0, 6))] = piece
        whole = whole or bytearray(1)
    read(path, bytes(whole[: data.draw(st.integers(0, len(whole)))]))


PIECES = st.one_of(
    st.sampled_from([bytes([code]) for code in range(256)]),
    st.sampled_from([name(*gadget) for gadget in GADGETS]),
    st.sampled_from([name(*known) for known in weights._Unpickler._known]),
    st.sampled_from(ATTRIBUTES).map(opcodes),
    st.integers(-(2**70), 2**70).map(opcodes),
    st.text(max_size=8).map(lambda text: opcodes(text)),
    st.just(tensor(6, 0, (3, 2), (2, 1))),
)


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, max_size=30), st.booleans())
def test_any_pickle_at_all_is_one_message_or_harmless(path: Path, pieces: list[bytes], begins: bool) -> None:
    body = stream(b"".join(pieces))
    read(path, (HEAD + body if begins else body) + ORDER + struct.pack("<q6f", 6, *range(6)))


def _peak() -> float:
    """MB that this process has held at most since the last look, or at all where that is not told."""
    try:
        (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, ValueError):
        return 0.0
    return int(line.split()[1]) / 1024
