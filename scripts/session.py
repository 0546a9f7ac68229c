"""What commands share: their options, the embedded S3 while they run, and where Spark's own words go."""

import errno
import functools
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from conf.errors import FruitsError, SettingsError
from conf.settings import EMBEDDED, Settings, Storage, load

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from scripts.embedded_s3 import ServerInfo

INTERRUPTED = "Interrupted. What was committed stays; run it again to go on."
HOME = Path(".fruits")
EMBEDDED_ROOT = HOME / "s3"
SPARK_LOG = HOME / "logs" / "spark.log"
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

# Full, read-only or forbidden: for the user to mend, wherever it is met.
_THIS_MACHINES = {errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT}


@contextmanager
def one_message(ctx: click.Context) -> Iterator[None]:
    """End a command in one message: an error that a person can act on in exit status 1, Ctrl-C in 130."""
    try:
        yield
    except FruitsError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo(INTERRUPTED, err=True)
        ctx.exit(128 + signal.SIGINT)
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
        return function(load(profile, overrides), *args, **kwargs)

    return with_settings


@contextmanager
def opened(settings: Settings, root: Path = EMBEDDED_ROOT) -> Iterator[Settings]:
    """Settings whose store answers: an embedded server runs within, and its URL stands for the word.

    A server already up (`fruits local up`) is used and left; one started here ends here. The process has its own AWS
    credentials again afterwards.
    """
    if settings.storage.endpoint != EMBEDDED:
        yield settings
        return
    from scripts.embedded_s3 import serve

    own = {name: os.environ.get(name) for name in _CREDENTIALS}
    with serve(root) as server:
        try:
            yield connect(settings, server)
        finally:
            for name, value in own.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def connect(settings: Settings, server: "ServerInfo") -> Settings:
    """Point settings and this process's AWS credential chain at an embedded server; make the bucket if need be."""
    os.environ["AWS_ACCESS_KEY_ID"] = server.access_key
    os.environ["AWS_SECRET_ACCESS_KEY"] = server.secret_key
    os.environ.pop("AWS_SESSION_TOKEN", None)
    storage = settings.storage.model_copy(update={"endpoint": server.endpoint})
    _ensure_bucket(storage)
    return settings.model_copy(update={"storage": storage})


def _ensure_bucket(storage: Storage) -> None:
    import obstore
    from obstore.exceptions import BaseError

    from conf.s3 import control_client, object_store

    try:
        # boto3 would tell as well, but half a second later, which is half of what a question takes.
        obstore.list_with_delimiter(object_store(storage), storage.state_key(""))
    except BaseError:
        with closing(control_client(storage)) as client:
            if storage.bucket not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
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
    from conf.s3 import check_bucket
    from conf.spark import session, stop

    if store:
        # A wrong bucket shows in a moment, a JVM takes seconds to start.
        check_bucket(settings.storage)
    # While the JVM starts, stderr is its log.
    stderr = os.dup(2)
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, functools.partial(_end_at_once, stderr, leftovers))
    # Started in the main thread, Spark would put a handler of its own in this one's place.
    with ThreadPoolExecutor(1, "spark") as starting:
        spark = starting.submit(session, settings, SPARK_LOG).result()
    try:
        yield spark
    finally:
        stop(spark)


def _end_at_once(stderr: int, leftovers: Sequence[Path], number: int, _: object) -> None:
    """End now, in one line.

    Spark's own handler, and any exception, would speak to the JVM in the middle of whatever is being said to it: some
    calls then never return. Nothing is lost by ending without a word to it, as every command can be killed at any
    moment; the JVM ends with this process, and so does an embedded S3.
    """
    # A progress bar hides the cursor.
    shown = "\x1b[?25h\n" if os.isatty(stderr) else ""
    os.write(stderr, f"{shown}{INTERRUPTED}\n".encode())
    for folder in leftovers:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(128 + number)


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
    click.echo(message, err=True)


def is_terminal() -> bool:
    """Whether a person watches stderr."""
    return sys.stderr.isatty()
