"""What AWS asks for what is deployed, from the table beside this module."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).with_name("prices.toml")


@cache
def prices() -> dict[str, Any]:
    """The table: USD, with where each figure is from."""
    return tomllib.loads(_TABLE.read_text(encoding="utf-8"))


def serverless_hour(cores: int, gigabytes: int) -> float:
    """USD for an hour of one worker of EMR Serverless."""
    asked = prices()["emr_serverless"]
    return float(cores * asked["vcpu_hour"] + gigabytes * asked["gb_hour"])
