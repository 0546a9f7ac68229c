"""What a commit says of who made it is read back, and nothing else passes for it."""

from datetime import UTC, datetime

import pytest

from conf.holders import Hold, Signature, log_key
from conf.settings import Storage

HOLD = Hold(datetime(2026, 5, 4, 10, tzinfo=UTC), "stream", "0123abcd", 4711, "a-host.example")


@pytest.mark.parametrize("batch", [None, 0, 12])
def test_a_signature_is_read_back(batch: int | None) -> None:
    assert Signature.read(HOLD.signature(batch)) == Signature(HOLD, batch)


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "by hand", "[]", "{}", "12", '{"job": "stream"}', HOLD.signature().replace("4711", '"no"')),
        HOLD.signature().replace("2026-05-04T10:00:00+00:00", "0001-01-01T00:00:00+09:00"),
    ],
)
def test_what_another_program_says_of_itself_is_no_signature(text: str | None) -> None:
    assert Signature.read(text) is None


def test_a_host_of_any_name_is_one_segment_of_a_key() -> None:
    key = log_key(Storage(bucket="fruits"), Hold(HOLD.since, "refresh", "0123", 1, "../../landing/ä_b c"))
    assert key == "state/leases/20260504T100000Z_refresh_0123_1_..-..-landing---b-c"
