"""What is to be deployed, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from conf.settings import Model


class Workers(NamedTuple):
    """How many machines featurize: while nothing lands, and at most."""

    least: int
    most: int


DEFAULT_WORKERS = Workers(1, 4)


@dataclass(frozen=True)
class Plan:
    """A deployment as its owner wants it."""

    platform: str
    region: str
    name: str = "fruits"
    bucket: str | None = None
    """None: one of a name of its own, by account and region."""
    settings: tuple[str, ...] = ()
    """For both jobs, as `section.name=value`."""
    model: Model = field(default_factory=Model)
    """The network, which the artefacts bring."""
    refresh_every: str = "6 hours"
    workers: Workers = DEFAULT_WORKERS
    budget: int = 20
    email: str = ""
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    stays_up: bool = False
    """On EC2, whether the cluster waits for what lands, or ends when all is done."""
    clean: str = "off"
    """As `discovery.clean`: it decides what the stream may delete."""
    outside_eu_because: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Others of the template's, which go before ours."""


@dataclass(frozen=True)
class Running:
    """A job or cluster that does the work."""

    kind: str
    id: str
    state: str
    is_new: bool
    """Whether this run started it."""
    place: str
    """Where the console shows it."""


@dataclass(frozen=True)
class Deployed:
    """What runs now."""

    name: str
    platform: str
    region: str
    account: str
    bucket: str
    version: str
    running: Running
    refresh: str
    logs: str
    usd_per_hour: tuple[float, float]
    """While nothing lands, and at most."""
