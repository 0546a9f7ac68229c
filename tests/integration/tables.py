"""What the tables hold, as plain Python."""

from typing import Any

from conf.delta import dataset, open_table
from conf.settings import Settings


def rows(settings: Settings, table: str) -> list[dict[str, Any]]:
    """All rows of a table; none where it does not exist."""
    opened = open_table(settings.storage, table)
    return dataset(opened, settings.storage).to_table().to_pylist() if opened else []


def versions(settings: Settings, table: str) -> list[tuple[str, str]]:
    """Key below the landing zone and etag of each row, sorted, duplicates and all."""
    landing = settings.storage.landing
    return sorted((row["key"].removeprefix(landing), row["etag"]) for row in rows(settings, table))
