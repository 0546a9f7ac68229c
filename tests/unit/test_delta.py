"""Reading the tables: what the store does to a scan is one message."""

import pytest

from conf.delta import reading
from conf.errors import StorageError
from conf.settings import Storage


def test_a_scan_that_the_store_fails_is_one_message() -> None:
    with (
        pytest.raises(StorageError, match="'photos' at AWS eu-west-1 failed: AWS Error SLOW_DOWN"),
        reading(Storage(bucket="photos")),
    ):
        raise OSError("AWS Error SLOW_DOWN: Please reduce your request rate\nand more lines")
