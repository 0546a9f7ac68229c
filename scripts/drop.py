"""`fruits drop`: put photographs into the landing zone."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conf.errors import DataError, StorageError
from conf.settings import EMBEDDED, Settings
from scripts.progress import bar
from scripts.session import opened, say, takes_settings
from scripts.wording import count, printable

if TYPE_CHECKING:
    from conf.settings import Storage

_PUTS_IN_FLIGHT = 8
_LONGEST_KEY = 1024
# The embedded S3 keeps an object as a file, and adds up to 42 bytes to its name while it writes a large one.
_LONGEST_FOLDER, _LONGEST_FILE = 255, 213
_TOLD = 10


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
    if label and (folder := next((path for path in paths if path.is_dir()), None)):
        raise click.UsageError(
            f"--label is for files given by name, and {readable(folder)} is a folder: what lies in it is labelled by "
            "its own folder. Leave out --label, or name the files."
        )
    passed_over: Counter[str] = Counter()
    files = [named for path in paths for named in name_files(path, label, passed_over)]
    left = f"{passed_over.total()} passed over: {', '.join(count(n, what) for what, n in passed_over.items())}."
    if not files:
        raise DataError(
            f"No files to drop in {', '.join(map(readable, paths))}"
            + (f"; {left}" if passed_over else ". Is it the folder that you mean?")
        )
    check_names(files, settings.storage)
    check_distinct(files)
    from conf.regions import check_region

    with opened(settings) as settings:
        check_region(settings)
        contents = ((name, path.read_bytes()) for path, name in files)
        with bar("Dropping", len(files)) as shown:
            done = drop(settings.storage, shown.count(contents))
    files_are = "1 file, {:.1f} MB, is" if done.files == 1 else f"{done.files} files, {{:.1f}} MB, are"
    say(f"{files_are.format(done.bytes / 1e6)} in {settings.storage.uri('landing/', 's3')}")
    if passed_over:
        say(left)


def check_names(files: Sequence[tuple[Path, str]], storage: "Storage") -> None:
    """Make sure that all files can be dropped under their names, and that a stream will look at them there.

    Raises
    ------
    DataError
        Where one cannot, or will not; the message names all such, or the first of many.
    """
    wrong = [
        f"{readable(path)} cannot be dropped as {readable(name)}: {why}"
        for path, name in files
        if (why := _why_not(name, storage))
    ]
    if len(wrong) == 1:
        raise DataError(f"{wrong[0]}. Rename it; nothing was dropped.")
    if wrong:
        more = [f"and {len(wrong) - _TOLD} more"] if len(wrong) > _TOLD else []
        raise DataError("\n".join([f"Rename {len(wrong)} files; nothing was dropped.", *wrong[:_TOLD], *more]))


def _why_not(name: str, storage: "Storage") -> str | None:
    from streaming.listing import is_photograph

    *folders, file = name.split("/")
    key = (storage.landing + name).encode(errors="surrogateescape")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        return "it has a control character, or one that is no UTF-8"
    if any(part in ("", ".", "..") for part in (*folders, file)):
        return "its parts may not be empty, nor dots alone"
    if not is_photograph(name):
        return "a stream passes over names with a leading _ or dot"
    if len(key) > _LONGEST_KEY:
        return f"with {storage.landing} before it, it has {len(key):,} bytes, and S3 takes {_LONGEST_KEY:,}"
    if storage.endpoint == EMBEDDED:
        for part, longest in (*((folder, _LONGEST_FOLDER) for folder in folders), (file, _LONGEST_FILE)):
            if (size := len(part.encode())) > longest:
                kind = "file" if part is file else "folder"
                return f"the {kind}'s name has {size} bytes, and the embedded S3 takes {longest}"
    return None


def readable(name: str | Path) -> str:
    """A name on this machine in quotes: bytes that are no UTF-8, and what a terminal would act on, as their codes."""
    return f"'{printable(str(name).encode(errors='surrogateescape').decode(errors='backslashreplace'))}'"


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
                f"{readable(other)} and {readable(path)} would both be dropped as {readable(name)}. Rename one, "
                "give another --label, or drop the folder above both; nothing was dropped."
            )


def drop(storage: "Storage", files: Iterable[tuple[str, bytes]]) -> Drop:
    """Put files (name below the landing zone, bytes), several PUTs at a time.

    Raises
    ------
    StorageError
        Where the store refuses or does not answer; the message names the file first.
    """
    from collections import deque
    from concurrent.futures import Future, ThreadPoolExecutor

    import obstore
    from obstore.exceptions import BaseError

    from conf.s3 import check_bucket, explain, object_store

    check_bucket(storage)
    store = object_store(storage)
    done, size = 0, 0
    under_way: deque[tuple[str, Future[object]]] = deque()

    def finish() -> None:
        name, put = under_way.popleft()
        try:
            put.result()
        except BaseError as error:
            raise StorageError(f"{readable(name)} could not be dropped. {explain(error, storage)}") from None

    with ThreadPoolExecutor(_PUTS_IN_FLIGHT, "drop") as pool:
        try:
            for name, data in files:
                under_way.append((name, pool.submit(obstore.put, store, storage.landing + name, data)))
                done += 1
                size += len(data)
                if len(under_way) > _PUTS_IN_FLIGHT:
                    finish()
            while under_way:
                finish()
        finally:
            pool.shutdown(cancel_futures=True)
    return Drop(done, size)


def name_files(
    path: Path, label: str | None = None, passed_over: Counter[str] | None = None
) -> Iterator[tuple[Path, str]]:
    """Files at a path with their names below the landing zone.

    Those directly in a folder are labelled by it; deeper ones keep their path, so that no two get one name.

    Parameters
    ----------
    path
    label
        Of a file, in place of its folder's name.
    passed_over
        Counts what is there and is no file to drop, by its kind.
    """
    if path.is_file():
        yield path, f"{label or path.resolve().parent.name}/{path.name}"
        return
    passed_over = Counter() if passed_over is None else passed_over
    if not path.is_dir():
        passed_over[_kind(path)] += 1
        return
    found = []
    for folder, folders, files in os.walk(path, onerror=_raise):
        for entry in [Path(folder, name) for name in (*folders, *files)]:
            if entry.name.startswith((".", "_")):
                passed_over["hidden or _ name"] += 1
            elif entry.is_file():
                found.append(entry)
            elif not entry.is_dir() or entry.is_symlink():
                passed_over[_kind(entry)] += 1
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
    for file in sorted(found):
        name = file.relative_to(path).as_posix()
        yield file, name if "/" in name else f"{path.resolve().name}/{name}"


def _kind(path: Path) -> str:
    if path.is_symlink():
        return "linked folder" if path.is_dir() else "broken link"
    return "special file"


def _raise(error: OSError) -> None:
    raise error
