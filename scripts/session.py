"""What commands share: their options, the embedded S3 while they run, and where Spark's own words go."""

import errno
import functools
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from conf.errors import FruitsError, SettingsError, StorageError
from conf.settings import EMBEDDED, Settings, Storage, load
from scripts.entry import end_at_once, interrupted
from scripts.progress import bar
from scripts.volume import is_quiet
from scripts.wording import printable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from scripts.embedded_s3 import ServerInfo

_log = logging.getLogger(__name__)
HOME = Path(".fruits")
EMBEDDED_ROOT = HOME / "s3"
SPARK_LOG = HOME / "logs" / "spark.log"
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

# Full, read-only or forbidden: for the user to mend, wherever it is met.
_THIS_MACHINES = {errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT}


@contextmanager
def one_message(ctx: click.Context) -> Iterator[None]:
    """End a command in one message: an error that a person can act on in exit status 1, Ctrl-C in 130.

    In none where whoever read the result has read enough, with status 141.
    """
    try:
        yield
        sys.stdout.flush()
    except FruitsError as error:
        raise click.ClickException(printable(str(error), keep="\n")) from None
    except KeyboardInterrupt:
        click.echo(interrupted(), err=True)
        ctx.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # What is left to write goes nowhere, lest the interpreter complains of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        ctx.exit(128 + signal.SIGPIPE)
    except OSError as error:
        if error.errno not in _THIS_MACHINES:
            raise
        raise click.ClickException(f"{error.strerror}: {error.filename or 'what it was to write to'}.") from None


def takes_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--profile` and `--set`, and hand it the settings they make as its first argument."""

    @click.option("--profile", metavar="NAME|FILE.toml", help="Settings profile: local (default), aws, test or a file.")
    @click.option("--set", "overrides", multiple=True, metavar="SECTION.NAME=VALUE", help="Set one value; repeatable.")
    @functools.wraps(function)
    def with_settings(*args: Any, profile: str | None, overrides: tuple[str, ...], **kwargs: Any) -> Any:
        settings = load(profile, overrides)
        _log.debug("The store is %s, the model %s.", settings.storage.uri("", "s3"), settings.model.architecture)
        return function(settings, *args, **kwargs)

    return with_settings


@contextmanager
def opened(settings: Settings, root: Path = EMBEDDED_ROOT, *, reading: bool = False) -> Iterator[Settings]:
    """Settings whose store answers: an embedded server runs within, and its URL stands for the word.

    A bucket that an embedded server lacks is made; for `reading` only where no other there holds anything.

    A server already up (`fruits local up`) is used and left; one started here ends here. The process has its own AWS
    credentials again afterwards.
    """
    if settings.storage.endpoint != EMBEDDED:
        # delta-rs would ask an EC2 machine's metadata, which here may be none, and warn at length of having no answer.
        os.environ.setdefault("AWS_REGION", settings.storage.region)
        yield settings
        return
    from scripts.embedded_s3 import serve

    own = {name: os.environ.get(name) for name in _CREDENTIALS}
    with ExitStack() as stack:
        with bar("Starting the embedded S3"):
            server = stack.enter_context(serve(root))
            settings = connect(settings, server, reading=reading)
        _log.debug("The embedded S3 is at %s, process %d.", server.endpoint, server.pid)
        try:
            yield settings
        finally:
            for name, value in own.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def connect(settings: Settings, server: "ServerInfo", *, reading: bool = False) -> Settings:
    """Point settings and this process's AWS credential chain at an embedded server; make the bucket if need be.

    Raises
    ------
    StorageError
        Where it is for `reading` and lacks the bucket, while others there hold something.
    """
    os.environ["AWS_ACCESS_KEY_ID"] = server.access_key
    os.environ["AWS_SECRET_ACCESS_KEY"] = server.secret_key
    os.environ.pop("AWS_SESSION_TOKEN", None)
    storage = settings.storage.model_copy(update={"endpoint": server.endpoint})
    _ensure_bucket(storage, reading)
    return settings.model_copy(update={"storage": storage})


def _ensure_bucket(storage: Storage, reading: bool) -> None:
    import obstore
    from obstore.exceptions import BaseError

    from conf.s3 import control_client, object_store

    try:
        # boto3 would tell as well, but half a second later, which is half of what a question takes.
        obstore.list_with_delimiter(object_store(storage), storage.state_key(""))
    except BaseError:
        with closing(control_client(storage)) as client:
            buckets = sorted(bucket["Name"] for bucket in client.list_buckets()["Buckets"])
            if storage.bucket in buckets:
                return
            in_use = [name for name in buckets if client.list_objects_v2(Bucket=name, MaxKeys=1)["KeyCount"]]
            if reading and in_use:
                raise StorageError(
                    f"There is no bucket {storage.bucket!r} at the embedded S3; there is {', '.join(in_use)}. Set "
                    "storage.bucket to one that is there. `fruits drop` makes a new one."
                ) from None
            client.create_bucket(Bucket=storage.bucket)


@contextmanager
def spark_session(
    settings: Settings, *, store: bool = True, leftovers: Sequence[Path] = ()
) -> Iterator["SparkSession"]:
    """A Spark session that stops at the end; its log goes to a file.

    Parameters
    ----------
    settings
    store
        Whether the bucket is needed, and so has to be there.
    leftovers
        Folders that go, too, if Ctrl-C ends the process here.
    """
    from conf.regions import check_region
    from conf.s3 import check_bucket
    from conf.spark import session, stop

    if store:
        # A wrong bucket shows in a moment, a JVM takes seconds to start.
        check_region(settings)
        check_bucket(settings.storage)
    # While the JVM starts, stderr is its log.
    stderr = os.dup(2)
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, functools.partial(_end_at_once, stderr, leftovers))
    # Started in the main thread, Spark would put a handler of its own in this one's place.
    begun = time.perf_counter()
    with bar("Starting Spark"), ThreadPoolExecutor(1, "spark") as starting:
        spark = starting.submit(session, settings, SPARK_LOG).result()
    _log.debug("Spark started in %.1f s. Its log is %s", time.perf_counter() - begun, SPARK_LOG.resolve())
    try:
        yield spark
    finally:
        with bar("Stopping Spark"):
            stop(spark)


def _end_at_once(stderr: int, leftovers: Sequence[Path], number: int, _: object) -> None:
    """End now, in one line.

    Spark's own handler, and any exception, would speak to the JVM in the middle of whatever is being said to it: some
    calls then never return. Nothing is lost by ending without a word to it, as every command can be killed at any
    moment; the JVM ends with this process, and so does an embedded S3.
    """
    for folder in leftovers:
        shutil.rmtree(folder, ignore_errors=True)
    end_at_once(stderr, number)


takes_space = click.option(
    "--space",
    type=click.Choice(["reduced", "features"]),
    default="reduced",
    show_default=True,
    help="Vectors of the last refresh; or all that the network says, also of photographs that came since.",
)
"""Give a command `--space`."""


def override(settings: Settings, section: str, **values: Any) -> Settings:
    """Settings with some values of one section replaced and checked again."""
    from pydantic import ValidationError

    current = getattr(settings, section)
    try:
        changed = type(current).model_validate(current.model_dump() | values)
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, (section, *problem["loc"])))
        raise SettingsError(f"{name}: {problem['msg']} (found {problem['input']}).") from None
    return settings.model_copy(update={section: changed})


def say(message: str) -> None:
    """Tell a person something that is not the result."""
    if not is_quiet():
        click.echo(message, err=True)
