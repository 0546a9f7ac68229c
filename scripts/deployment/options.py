"""Options that the platforms' commands share, and the plan that they make."""

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scripts.progress import bar
from scripts.session import say
from scripts.volume import is_watched

if TYPE_CHECKING:
    from conf.settings import Settings
    from scripts.deployment.plan import Plan
    from scripts.deployment.steps import Call, Cloud

T = TypeVar("T")
_log = logging.getLogger(__name__)
_UNITS = {"m": "minute", "h": "hour", "d": "day"}


def rate(_: click.Context, __: click.Parameter, value: str) -> str:
    """15m, 6h, 1d or "6 hours", as EventBridge Scheduler writes it."""
    found = re.fullmatch(r"(\d{1,4}) ?([mhd])(?:inutes?|ours?|ays?)?", value)
    if not found or not int(found[1]):
        raise click.BadParameter(f"{value!r} is no time: write 15m, 6h, 1d or '6 hours'.")
    count = int(found[1])
    return f"{count} {_UNITS[found[2]]}{'' if count == 1 else 's'}"


def workers(_: click.Context, __: click.Parameter, value: str) -> tuple[int, int]:
    """4, or 1..4."""
    found = re.fullmatch(r"(?:(\d{1,3})\.\.)?(\d{1,3})", value)
    least, most = (int(found[1] or found[2]), int(found[2])) if found else (0, 0)
    if least > most or not most:
        raise click.BadParameter(f"{value!r} is no number of workers: write 4, or 1..4 for one while nothing lands.")
    return least, most


def _name(_: click.Context, __: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,22}[a-z0-9]", value):
        raise click.BadParameter(f"{value!r}: it has 3 to 24 small letters, digits and dashes, a letter first.")
    return value


def _parameters(_: click.Context, __: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    for name, equals, _value in pairs:
        if not equals or not name.isidentifier():
            raise click.BadParameter(f"{name!r}: write NAME=VALUE.")
    return {name: value for name, _equals, value in pairs}


_PLACE = (
    click.option(
        "--name",
        default="fruits",
        show_default=True,
        callback=_name,
        help="The deployment's: all that is made begins with it. Several can stand side by side.",
    ),
    click.option("--region", metavar="REGION", help="Default: storage.region of the settings, so eu-west-1."),
    click.option("--aws-profile", metavar="NAME", help="Profile of AWS credentials. Default: AWS_PROFILE's."),
    click.option("--dry-run", is_flag=True, help="Print each request to AWS, and make none. Needs no credentials."),
    click.option("-y", "--yes", is_flag=True, help="Ask nothing."),
    click.option("--json", "as_json", is_flag=True, help="For machines."),
)
_STACK = (
    click.option(
        "--workers",
        default="1..4",
        show_default=True,
        metavar="[N..]M",
        callback=workers,
        help="Machines that featurize: while nothing lands, and at most. Of two cores on EMR Serverless, four on EC2.",
    ),
    click.option(
        "--budget",
        default=20,
        show_default=True,
        type=click.IntRange(0),
        metavar="USD",
        help="For a month of the whole account; AWS warns --email before it is spent. 0: none.",
    ),
    click.option("--email", default="", metavar="ADDRESS", help="Who hears of alarms and of the budget."),
    click.option(
        "--parameter",
        "parameters",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_parameters,
        help="Any other parameter of deploy/fruits.yaml, such as LogDays=7; repeatable.",
    ),
)
_JOBS = (
    click.option(
        "--refresh-every",
        default="6h",
        show_default=True,
        metavar="TIME",
        callback=rate,
        help="How often PCA is refit: 15m, 6h, 1d.",
    ),
    click.option(
        "--subnet",
        "subnets",
        multiple=True,
        metavar="ID",
        help="Where the machines are; repeatable. On EMR Serverless a stream hears the queue only from a network of "
        "yours; without, it lists the landing zone.",
    ),
    click.option(
        "--security-group",
        "security_groups",
        multiple=True,
        metavar="ID",
        help="One of the machines' there; repeatable.",
    ),
    click.option(
        "--profile",
        metavar="NAME|FILE.toml",
        help="Settings profile of the jobs: aws (default), or a file. That of AWS credentials is --aws-profile.",
    ),
    click.option(
        "--set", "overrides", multiple=True, metavar="SECTION.NAME=VALUE", help="Set one value of the jobs; repeatable."
    ),
)


def _with(function: Any, options: Sequence[Callable[[Any], Any]]) -> Any:
    for option in reversed(options):
        function = option(function)
    return function


def takes_place(function: Any) -> Any:
    """Give a command the options that say where, as whom and how."""
    return _with(function, _PLACE)


def takes_stack(function: Any) -> Any:
    """Give a command the options that say where to deploy, and how large."""
    return _with(function, (*_PLACE[:3], *_STACK, *_PLACE[3:]))


def takes_plan(function: Any) -> Any:
    """Give a command those, and the options that say what the jobs do."""
    return _with(function, (*_PLACE[:3], *_STACK, *_JOBS, *_PLACE[3:]))


def plan(
    platform: str, *, region: str | None, profile: str | None = None, overrides: tuple[str, ...] = (), **options: Any
) -> "Plan":
    """What the options ask for.

    Raises
    ------
    SettingsError
        Where a setting makes no sense, is not AWS's, or would leave the European Union without a reason.
    """
    from conf.errors import SettingsError
    from conf.settings import find_layers, flatten, load
    from scripts.deployment.plan import Plan, Workers

    if region:
        overrides = (*overrides, f"storage.region={region}")
    profile = profile or "aws"
    named = any(layer.holds("storage.bucket") for layer in find_layers(profile, overrides))
    unnamed = () if named else ("storage.bucket=unnamed",)
    settings = load(profile, (*overrides, *unnamed))
    if settings.storage.endpoint or settings.storage.prefix:
        raise SettingsError(
            "A deployment has a bucket of its own, on AWS: leave out storage.endpoint "
            f"({settings.storage.endpoint}) and storage.prefix ({settings.storage.prefix!r})."
        )
    _guard(settings)
    usual = dict(flatten(load("aws", ["storage.bucket=unnamed"])))
    ours = {"storage.bucket", "storage.region"}
    changed = {name: value for name, value in flatten(settings) if value != usual[name] and name not in ours}
    return Plan(
        platform=platform,
        region=settings.storage.region,
        bucket=settings.storage.bucket if named else None,
        settings=tuple(setting for name, value in changed.items() for setting in _written(name, value)),
        model=settings.model,
        workers=Workers(*options.pop("workers")),
        clean=settings.discovery.clean,
        outside_eu_because=settings.privacy.outside_eu_because or "",
        **options,
    )


def _guard(settings: "Settings") -> None:
    from conf.regions import check_places

    check_places({"the deployment": settings.storage.region}, settings)


def _written(name: str, value: Any) -> Iterator[str]:
    """A setting as `--set` takes it; a table of free names is one for each."""
    if isinstance(value, dict):
        for below, one in value.items():
            yield from _written(f"{name}.{below}", one)
    else:
        yield f"{name}={str(value).lower() if isinstance(value, bool) else value}"


def region_of(region: str | None) -> str:
    """Where a deployment is looked for: as told, or as the settings say."""
    from conf.settings import load

    told = (f"storage.region={region}",) if region else ()
    return load("aws", ("storage.bucket=unnamed", *told)).storage.region


def rehearse(region: str, answers: Mapping[tuple[str, str], Any], work: Callable[["Cloud"], Any]) -> "list[Call]":
    """What would be asked of AWS."""
    from scripts.deployment.steps import Rehearsal

    calls: list[Call] = []
    work(Rehearsal(region, answers, on_call=calls.append))
    return calls


def on_aws(region: str, aws_profile: str | None, work: Callable[["Cloud"], T]) -> T:
    """Do it, with what is being done on stderr: a line a step, on a terminal in one line."""
    from scripts.deployment.steps import Aws

    with bar("Asking AWS") as shown:
        told = ""

        def tell(message: str) -> None:
            nonlocal told
            shown.says(message)
            if message != told and not is_watched():
                say(message)
            told = message

        return work(Aws(region, aws_profile, on_call=_log_call, tell=tell))


def confirm(question: str, yes: bool) -> None:
    """Ask on a terminal, unless told to ask nothing."""
    if not yes and somebody_answers():
        click.confirm(question, default=True, abort=True, err=True)


def somebody_answers() -> bool:
    """Whether there is a person who could be asked."""
    return sys.stdin.isatty()


def _log_call(call: "Call") -> None:
    _log.debug(
        "%s %s %s", call.service, call.operation, {name: _short(value) for name, value in call.parameters.items()}
    )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"
