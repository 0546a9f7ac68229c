"""Archives whose bytes depend on what is in them, and on nothing else: not on when, where or by whom they were made."""

import gzip
import hashlib
import tarfile
from pathlib import Path

_LEVEL = 6
# The beginning of the time that zip knows, so that nothing stumbles over it.
_MTIME = 315532800


def pack(tree: Path, member: Path) -> None:
    """Pack all that is below a folder, without an end: further members may follow."""
    with member.open("wb") as raw, gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed:
        # Not closed, as that would write the end.
        tar = tarfile.TarFile(fileobj=packed, mode="w")
        for path in sorted(tree.rglob("*")):
            info = tar.gettarinfo(path, str(path.relative_to(tree)))
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = _MTIME
            info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
            if info.islnk():
                # uv links what it installs to its cache, and some files there are the same.
                info.type, info.linkname, info.size = tarfile.REGTYPE, "", path.stat().st_size
            if info.isreg():
                with path.open("rb") as content:
                    tar.addfile(info, content)
            else:
                tar.addfile(info)


def join(members: list[Path], archive: Path) -> None:
    """Make one archive of several: a gzip file may have members, and so may be put together without packing again."""
    with archive.open("wb") as whole:
        for member in members:
            whole.write(member.read_bytes())
        whole.write(gzip.compress(bytes(2 * tarfile.BLOCKSIZE), mtime=0))


def digest(file: Path) -> str:
    """The sha256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
