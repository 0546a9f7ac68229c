"""The archive: where an object version is kept that has left the landing zone, with `discovery.clean = "archive"`."""

from urllib.parse import quote, unquote

from conf.settings import Storage
from streaming.manifests import Landed

# S3 copies no more than this in one request.
_LARGEST_COPY = 5 * 2**30
_LONGEST_KEY = 1024
# The embedded S3 keeps an object as a file, and adds to its name while it writes it.
_LONGEST_NAME = 215


def archive_key(storage: Storage, version: Landed) -> str:
    """Where a version is archived: its path below the landing zone, with the etag put before the suffix.

    `landing/apple/1.jpg` becomes `archive/apple/1.<etag>.jpg`. No two versions of one key, and no two keys, share one.
    """
    folder, slash, name = version.key.removeprefix(storage.landing).rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    # An etag may be any text: it must make no folder, and no suffix.
    etag = quote(version.etag, safe="").replace(".", "%2E")
    return f"{storage.archive}{folder}{slash}" + (f"{stem}.{etag}.{suffix}" if dot else f"{name}.{etag}")


def original(storage: Storage, key: str) -> tuple[str, str] | None:
    """Of which version an archived object is, as key and etag; None where it is of none."""
    folder, slash, name = key.removeprefix(storage.archive).rpartition("/")
    # The etag has no dot: it is what stands between the last two, or after the only one.
    match name.rsplit(".", 2):
        case [stem, etag, suffix]:
            name = f"{stem}.{suffix}"
        case [name, etag]:
            pass
        case _:
            return None
    return f"{storage.landing}{folder}{slash}{name}", unquote(etag)


def can_archive(storage: Storage, version: Landed) -> bool:
    """Whether the archive can take it: one of over 5 GiB, or whose name is too long with its etag, it cannot."""
    key = archive_key(storage, version).encode()
    return version.size <= _LARGEST_COPY and len(key) <= _LONGEST_KEY and len(key.rpartition(b"/")[2]) <= _LONGEST_NAME
