"""Decoding in a child process: its death is a refusal, and the next object finds another child."""

import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest

from conf.errors import SetupError
from conf.tables import Reason
from scripts.fruit_photos import draw_photos
from streaming.decode import Photograph, decode
from streaming.isolation import Decode, Isolated
from streaming.refusal import Refusal

PHOTO = next(iter(draw_photos(1, seed=3))).data
FORMAT = decode(PHOTO, 24, 10**6).format


def by_orders() -> Decode:
    """A decoder that obeys; made here, it travels by value."""

    def obey(data: bytes, side: int, max_pixels: int) -> Photograph:
        match data.split():
            case [b"die", name]:
                os.kill(os.getpid(), getattr(signal, name.decode()))
            case [b"exit", status]:
                os._exit(int(status))
            case [b"fail"]:
                raise ZeroDivisionError("as asked")
            case [b"swell"]:
                raise MemoryError
            case [b"who"]:
                return Photograph(np.zeros((1, 1, 3), np.uint8), os.getpid(), 1, "PNG")
        return decode(data, side, max_pixels)

    return obey


@pytest.fixture
def isolated() -> Iterator[Isolated]:
    with Isolated(by_orders()) as decoding:
        yield decoding


def refusal_of(decoding: Decode, data: bytes) -> Refusal:
    with pytest.raises(Refusal) as raised:
        decoding(data, 24, 10**6)
    return raised.value


def pid_of(decoding: Decode) -> int:
    return decoding(b"who", 24, 10**6).width


def test_what_is_decoded_apart_is_what_is_decoded_here() -> None:
    with Isolated(decode) as decoding:
        apart, here = decoding(PHOTO, 24, 10**6), decode(PHOTO, 24, 10**6)
        assert (apart.width, apart.height, apart.format) == (here.width, here.height, here.format)
        np.testing.assert_array_equal(apart.pixels, here.pixels)
        refused = refusal_of(decoding, b"not a picture")
    assert (refused.reason, refused.detail) == (Reason.NOT_AN_IMAGE, refusal_of(decode, b"not a picture").detail)


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (b"die SIGSEGV", "11 bytes: the decoder was killed by SIGSEGV"),
        (b"die SIGKILL", "11 bytes: the decoder was killed by SIGKILL, as by a kernel short of memory"),
        (b"exit 3", "6 bytes: the decoder ended its process with status 3"),
    ],
)
def test_a_death_is_a_refusal_and_the_next_object_is_decoded(isolated: Isolated, order: bytes, says: str) -> None:
    before = pid_of(isolated)
    refused = refusal_of(isolated, order)
    assert (refused.reason, refused.detail) == (Reason.CRASHED, says)
    assert isolated(PHOTO, 24, 10**6).format == FORMAT
    assert pid_of(isolated) not in (before, os.getpid())


def test_one_child_decodes_one_object_after_another(isolated: Isolated) -> None:
    assert pid_of(isolated) == pid_of(isolated) != os.getpid()
    with pytest.raises(ZeroDivisionError, match="as asked"):
        isolated(b"fail", 24, 10**6)


def test_an_object_that_takes_more_memory_than_there_is_is_refused(isolated: Isolated) -> None:
    before = pid_of(isolated)
    refused = refusal_of(isolated, b"swell")
    assert (refused.reason, refused.detail.partition(": ")[2]) == (
        Reason.CRASHED,
        "to decode them takes more memory than there is",
    )
    assert pid_of(isolated) == before


def test_a_large_object_gets_there_and_back(isolated: Isolated) -> None:
    assert refusal_of(isolated, bytes(20_000_000)).reason == Reason.NOT_AN_IMAGE


def test_a_death_between_two_objects_is_held_against_neither(isolated: Isolated) -> None:
    os.kill(pid_of(isolated), signal.SIGKILL)
    while isolated._child and isolated._child.lives():
        pass
    assert isolated(PHOTO, 24, 10**6).format == FORMAT


def test_being_told_to_end_is_no_crash(isolated: Isolated) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid_of(isolated), number)
        assert isolated(PHOTO, 24, 10**6).format == FORMAT


def test_the_child_ends_with_the_block() -> None:
    with Isolated(by_orders()) as decoding:
        pid = pid_of(decoding)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_where_there_is_no_child_no_object_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with Isolated(decode) as decoding, pytest.raises(SetupError, match="status 1 before it began"):
        decoding(PHOTO, 24, 10**6)
