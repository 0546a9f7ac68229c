"""What it will cost: prices, what was measured, and sums. Estimates, in USD without tax, free tiers left out.

A photograph is one PUT by whoever drops it, one GET by a worker and its part of a micro-batch and of a listing. Time is
what the workers take for it at the rate of docs/benchmarks.md, and what a platform takes until they begin.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scripts.deployment.plan import DEFAULT_WORKERS, Workers
from scripts.deployment.prices import prices, serverless_hour

PLATFORMS = ("emr", "ec2", "databricks")
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)


@dataclass(frozen=True)
class Photographs:
    """Photographs of one size, and how many of them a core featurizes in a second (docs/benchmarks.md)."""

    name: str
    bytes: int
    per_core_second: float


SMALL = Photographs("100 x 100 pixels, 5 KB", 5_000, 125 / 2)
LARGE = Photographs("12 megapixels, 3 MB", 3_000_000, 30 / 2)
KINDS = (SMALL, LARGE)
# docs/scale.md: bytes of a row of features and of one of reduced, which is kept twice while versions are.
ROW_BYTES = 2_900 + 2 * 600
# docs/benchmarks.md, a refresh of all rows: 67.1 s for a million on two cores.
REFRESH_CORE_SECONDS = 2 * 67.1 / 1_000_000
# docs/benchmarks.md, discovery by listing: the client's 58 ms a page of 1,000 and 75 of S3's.
LIST_SECONDS, PAGE = 0.133, 1_000
# `python -m bench.requests`, rounded up: a micro-batch, a start of the stream, a refresh.
PUTS = {"micro-batch": 30, "start": 135, "refresh": 95}
GETS = {"micro-batch": 55, "start": 25, "refresh": 200}
# A backlog's micro-batches take a minute (stream.backlog_seconds).
BATCHES_AN_HOUR = 60
# With bucket keys S3 asks KMS once for many objects: here, for one request in a hundred.
REQUESTS_A_KEY = 100
# docs/benchmarks.md, discovery by queue, nothing new.
QUEUE_REQUESTS = 2
# deploy/fruits.yaml: metrics that alarms look at, metrics that are made of the log, and a key for log and alarms.
ALARMED, METRICS, KEYS = 7, 5, 1
LOG_GB_AN_HOUR = 0.002
_REFRESHED_HOURS = 6
# A job that finds nothing to do, once it has begun.
_NOTHING_HOURS = 1 / 60


@dataclass(frozen=True)
class Machines:
    """What does the work on a platform.

    Attributes
    ----------
    idle, full
        USD an hour with the fewest and with all workers.
    cores
        Of all workers.
    start_hours
        From asking for them until the first photograph: an assumption, and all of it is taken as paid.
    listens
        Whether there is a queue, so that a look need not list all that is there.
    """

    idle: float
    full: float
    cores: int
    start_hours: float
    listens: bool


def machines(platform: str, workers: Workers = DEFAULT_WORKERS) -> Machines:
    """As `fruits deploy` takes them. Workers are taken for spot machines where there are such."""
    driver, executor = serverless_hour(1, 4), serverless_hour(2, 4)
    ec2, databricks = prices()["emr_ec2"], prices()["databricks"]
    machine = ec2["m5.xlarge"]
    spot = prices()["assumptions"]["spot_share"] * machine["ec2_hour"]
    disk = ec2["disk_gb_month"] / _month_hours()
    start = prices()["assumptions"]["start_minutes"][platform] / 60
    match platform:
        case "emr":
            return _machines(driver, executor, workers, 2, start, listens=False)
        case "ec2":
            beside = machine["emr_hour"] + 64 * disk + ec2["address_hour"]
            two, each = 2 * (machine["ec2_hour"] + beside), spot + beside
            return _machines(two, each, workers, 4, start, listens=True)
        case "databricks":
            beside = databricks["m5_xlarge_dbus"] * databricks["dbu"] + 100 * disk + ec2["address_hour"]
            one, each = machine["ec2_hour"] + beside, spot + beside
            return _machines(one, each, workers, 4, start, listens=True)
    raise ValueError(platform)


def _machines(fixed: float, each: float, workers: Workers, cores: int, start: float, *, listens: bool) -> Machines:
    least, most = (fixed + count * each for count in workers)
    return Machines(least, most, workers.most * cores, start, listens)


def first(images: int, photographs: Photographs, platform: str) -> dict[str, float]:
    """USD for the first ingestion of so many photographs, and one refresh, by what it is for."""
    used = machines(platform)
    hours = hours_to_ingest(images, photographs, platform)
    refresh = used.start_hours + images * REFRESH_CORE_SECONDS / used.cores / 3600
    batches = math.ceil(hours * BATCHES_AN_HOUR)
    # One look finds all, over many micro-batches, and another that there is no more.
    puts = images + 2 * pages(images) + PUTS["start"] + PUTS["micro-batch"] * batches + PUTS["refresh"]
    gets = images + GETS["start"] + GETS["micro-batch"] * batches + GETS["refresh"]
    return {
        "machines": used.full * (used.start_hours + hours),
        "refresh": used.full * refresh,
        "requests": requests(puts, gets),
        "logs": LOG_GB_AN_HOUR * (hours + refresh) * prices()["cloudwatch"]["log_gb"],
    }


def hours_to_ingest(images: int, photographs: Photographs, platform: str) -> float:
    """How long all workers take, once they are there."""
    return images / photographs.per_core_second / machines(platform).cores / 3600


def month(images: int, photographs: Photographs, platform: str, how: str) -> dict[str, float]:
    """USD a month with so many photographs in the landing zone and nothing new, by what it is for.

    Parameters
    ----------
    images
    photographs
    platform
    how
        `up`: the stream is, and looks each second. `seldom`: it is, and looks each half minute
        (`stream.trigger_seconds=30`). `hourly`: `stream --once` each hour. All with a refresh each six hours that finds
        nothing to do. `off`: neither.
    """
    used, hours, cloudwatch = machines(platform), _month_hours(), prices()["cloudwatch"]
    puts = gets = asked = worked = refreshes = 0.0
    if how != "off":
        refreshes = hours / _REFRESHED_HOURS
        puts, gets = refreshes * PUTS["refresh"], refreshes * GETS["refresh"]
    if how == "hourly":
        worked = hours * (used.start_hours + _NOTHING_HOURS)
        puts, gets = puts + hours * (pages(images) + PUTS["start"]), gets + hours * GETS["start"]
    elif how != "off":
        worked, trigger = hours, 1 if how == "up" else 30
        asked = used.listens * QUEUE_REQUESTS * 3600 / trigger * hours
        # With a queue, the whole is listed once an hour (discovery.relist_minutes).
        puts += hours * pages(images) * (1 if used.listens else looks_per_hour(images, trigger))
    return {
        "machines": used.idle * (worked + refreshes * (used.start_hours + _NOTHING_HOURS)),
        "requests": requests(puts, gets) + asked / 1e6 * prices()["sqs"]["requests_million"],
        "storage": images * (photographs.bytes + ROW_BYTES) / 1e9 * prices()["s3"]["gb_month"],
        "watching": watching(runs=how != "off") + LOG_GB_AN_HOUR * worked * cloudwatch["log_gb"],
    }


def looks_per_hour(images: int, trigger_seconds: float) -> float:
    """How often a stream that lists looks at a landing zone of so many objects."""
    return 3600 / (trigger_seconds + pages(images) * LIST_SECONDS)


def pages(images: int) -> int:
    """LIST requests for one look."""
    return max(1, math.ceil(images / PAGE))


def requests(puts: float, gets: float) -> float:
    """USD for requests to S3, and for those that it makes to KMS on account of them."""
    s3, kms = prices()["s3"], prices()["kms"]
    asked = (puts * s3["puts_1000"] + gets * s3["gets_1000"]) / 1000
    return float(asked + (puts + gets) / REQUESTS_A_KEY * kms["requests_10000"] / 10_000)


def watching(*, runs: bool) -> float:
    """USD a month for alarms, their key and, where a stream runs, the metrics that its log makes."""
    cloudwatch = prices()["cloudwatch"]
    metrics = METRICS * cloudwatch["metric_month"] if runs else 0
    return float(ALARMED * cloudwatch["alarm_month"] + metrics + KEYS * prices()["kms"]["key_month"])


def demonstration(hours: float = 8) -> dict[str, float]:
    """USD for a day of showing it on EMR Serverless: 10,000 small photographs, all workers all the time, then gone."""
    used, images = machines("emr"), 10_000
    looking = pages(images) * looks_per_hour(images, 1) * hours
    return {
        f"{hours:g} hours of one driver and four workers": used.full * hours,
        "two refreshes": 2 * used.full * (used.start_hours + _NOTHING_HOURS),
        f"{images:,} photographs put and got": requests(images, images),
        f"{looking:,.0f} LIST requests of a stream that looks each second": requests(looking, 0),
        "a week of storage, at 5 KB each": images
        * (SMALL.bytes + ROW_BYTES)
        / 1e9
        * prices()["s3"]["gb_month"]
        * 7
        / 30,
        "a month of alarms, metrics and a key, though they are paid by the hour": watching(runs=True),
    }


def eur(usd: float) -> float:
    """At the rate that is assumed."""
    return usd / float(prices()["assumptions"]["usd_per_eur"])


def total(parts: Mapping[str, float]) -> float:
    """All of it."""
    return sum(parts.values())


def to_check() -> list[str]:
    """Prices that no page confirms, as section.name."""
    return [f"{name}.{figure}" for name, section in prices().items() for figure in section.get("to_check", ())]


def _month_hours() -> float:
    return float(prices()["assumptions"]["hours_per_month"])
