"""`fruits drop`: put photographs into the landing zone."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conf.errors import DataError
from conf.settings import Settings
from scripts.progress import bar
from scripts.session import opened, say, takes_settings

if TYPE_CHECKING:
    from conf.settings import Storage

_PUTS_IN_FLIGHT = 8
# A key has 1,024 bytes; some are the prefix's.
_LONGEST_NAME = 900


@dataclass(frozen=True)
class Drop:
    """What was put into the landing zone."""

    files: int
    bytes: int


@click.command(name="drop")
@takes_settings
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--label", help="Label for files given by name; those of a folder have their own parent folder's.")
def command(settings: Settings, paths: tuple[Path, ...], label: str | None) -> None:
    """Copy files, or whole folders, to landing/<label>/<file>.

    The folder that a file lies in is its label. Dropping the same file again changes nothing; a changed one under the
    same name is a new version of it.

    \b
    fruits drop photos/                  # photos/apple/1.jpg is labelled apple
    fruits drop one.jpg two.jpg --label pear
    """
    files = [named for path in paths for named in name_files(path, label)]
    if not files:
        raise DataError(
            f"No files to drop in {', '.join(map(str, paths))}. What is hidden, has a leading _, or is a link that "
            "leads nowhere is passed over."
        )
    for path, name in files:
        check_name(path, name)
    check_distinct(files)
    from conf.regions import check_region

    with opened(settings) as settings:
        check_region(settings)
        contents = ((name, path.read_bytes()) for path, name in files)
        with bar("Dropping", len(files)) as shown:
            done = drop(settings.storage, shown.count(contents))
    files_are = "1 file, {:.1f} MB, is" if done.files == 1 else f"{done.files} files, {{:.1f}} MB, are"
    say(f"{files_are.format(done.bytes / 1e6)} in {settings.storage.uri('landing/', 's3')}")


def check_name(path: Path, name: str) -> None:
    """Make sure that a file can be dropped under a name, and that a stream will look at it there.

    Raises
    ------
    DataError
        Where it cannot, or will not.
    """
    from streaming.listing import is_photograph

    parts = name.split("/")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        why = "it has a control character, or one that is no UTF-8"
    elif any(part in ("", ".", "..") for part in parts):
        why = "its parts may not be empty, nor dots alone"
    elif not is_photograph(name):
        why = "a stream passes over names with a leading _ or dot"
    elif len(name.encode()) > _LONGEST_NAME:
        why = f"it has {len(name.encode())} bytes, and {_LONGEST_NAME} leave room for prefix and etag in S3's 1,024"
    else:
        return
    raise DataError(f"{str(path)!a} cannot be dropped as {name!a}: {why}. Rename it; nothing was dropped.")


def check_distinct(files: Sequence[tuple[Path, str]]) -> None:
    """Make sure that no two files would be dropped under one name.

    Raises
    ------
    DataError
        Where two would.
    """
    first: dict[str, Path] = {}
    for path, name in files:
        if (other := first.setdefault(name, path)) != path:
            raise DataError(
                f"{str(other)!r} and {str(path)!r} would both be dropped as {name!r}. Rename one, give another "
                "--label, or drop the folder above both; nothing was dropped."
            )


def drop(storage: "Storage", files: Iterable[tuple[str, bytes]]) -> Drop:
    """Put files (name below the landing zone, bytes), several PUTs at a time.

    Raises
    ------
    StorageError
        Where the store refuses or does not answer.
    """
    from collections import deque
    from concurrent.futures import Future, ThreadPoolExecutor

    import obstore
    from obstore.exceptions import BaseError

    from conf.s3 import check_bucket, explain, object_store

    check_bucket(storage)
    store = object_store(storage)
    count = size = 0
    under_way: deque[Future[object]] = deque()
    with ThreadPoolExecutor(_PUTS_IN_FLIGHT, "drop") as pool:
        try:
            for name, data in files:
                under_way.append(pool.submit(obstore.put, store, storage.landing + name, data))
                count += 1
                size += len(data)
                if len(under_way) > _PUTS_IN_FLIGHT:
                    under_way.popleft().result()
            for put in under_way:
                put.result()
        except BaseError as error:
            raise explain(error, storage) from None
        finally:
            pool.shutdown(cancel_futures=True)
    return Drop(count, size)


def name_files(path: Path, label: str | None = None) -> Iterator[tuple[Path, str]]:
    """Files at a path with their names below the landing zone.

    Those directly in a folder are labelled by it; deeper ones keep their path, so that no two get one name.
    """
    if path.is_file():
        yield path, f"{label or path.resolve().parent.name}/{path.name}"
        return
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
        if file.is_file() and not any(part.startswith((".", "_")) for part in relative.parts):
            name = relative.as_posix()
            yield file, name if "/" in name else f"{label or path.resolve().name}/{name}"
