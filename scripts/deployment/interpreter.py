"""The Python that a job brings along: complete, and running from wherever it is unpacked."""

import logging
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from conf.errors import SetupError

VERSION = "3.11"
_WANTED = f"cpython-{VERSION}-linux-x86_64-gnu"
# What no job imports, and a fifth of the whole.
_LEFT_OUT = (
    "__pycache__",
    "site-packages",
    "test",
    "idlelib",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "lib2to3",
    "config-*",
)
_PLATFORM_GLIBC = (2, 34)
"""Of Amazon Linux 2023, which EMR's releases stand on."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine that can be copied.

    Attributes
    ----------
    name : str
        Tells it from others: version, platform and who built it.
    program : Path
    library : Path
        Its standard library.
    shared : Path or None
        Its own shared library, where the program is linked to one.
    is_standalone : bool
        Whether it is built to run on any Linux.
    """

    name: str
    program: Path
    library: Path
    shared: Path | None
    is_standalone: bool

    def binaries(self) -> list[Path]:
        """All that the machine's linker loads."""
        return [*filter(None, (self.program, self.shared)), *self.library.glob("lib-dynload/*.so")]

    def copy(self, tree: Path) -> None:
        """Lay it out below a folder, as bin/ and lib/."""
        (tree / "bin").mkdir(parents=True)
        (tree / "bin" / f"python{VERSION}").write_bytes(self._program())
        (tree / "bin" / f"python{VERSION}").chmod(0o755)
        for name in ("python3", "python"):
            (tree / "bin" / name).symlink_to(f"python{VERSION}")
        shutil.copytree(
            self.library, tree / "lib" / f"python{VERSION}", symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT)
        )
        if self.shared:
            shutil.copy(self.shared, tree / "lib" / self.shared.name)

    def _program(self) -> bytes:
        """The program, which looks for its shared library beside itself instead of where it was built to be."""
        program = self.program.read_bytes()
        if self.shared is None:
            return program
        there, beside = f"{self.shared.parent}\0".encode(), b"$ORIGIN/../lib\0"
        return program.replace(there, beside.ljust(len(there), b"\0")) if len(there) >= len(beside) else program


def find() -> Interpreter:
    """The standalone Python that uv brings, which runs on any Linux; else this machine's own.

    Raises
    ------
    SetupError
        Where uv brings none, and this machine's is no Linux's or another version.
    """
    return _standalone() or _own()


def doubts(interpreter: Interpreter) -> tuple[str, ...]:
    """Why it will not run on EMR, if it will not. Of packages, uv takes only what is built for such a glibc."""
    asked = newest_glibc(interpreter.binaries())
    if interpreter.is_standalone and asked <= _PLATFORM_GLIBC:
        return ()
    major, minor = asked
    return (
        f"The environment's Python is this machine's own, {interpreter.program}. It asks for glibc {major}.{minor} "
        "and for libraries of this system; EMR's Amazon Linux 2023 has glibc 2.34 and others. It runs on machines like "
        f"this one alone. Run this again where uv can fetch {_WANTED}, or set UV_PYTHON_INSTALL_MIRROR to where it is.",
    )


def newest_glibc(binaries: Iterable[Path]) -> tuple[int, int]:
    """The version of the C library that programs and libraries ask for."""
    minors = (re.findall(rb"\0GLIBC_2\.(\d+)", binary.read_bytes()) for binary in binaries)
    return 2, max((int(minor) for found in minors for minor in found), default=0)


def find_uv() -> Path:
    """uv, of the path or as set-up brought it.

    Raises
    ------
    SetupError
        Where there is none.
    """
    brought = sorted(platformdirs.user_cache_path("fruits").glob("uv-*/bin/uv"))
    found = shutil.which("uv") or (str(brought[-1]) if brought else None)
    if found is None:
        raise SetupError("uv is not there, which puts the environment together. Run: make setup")
    return Path(found)


def _standalone() -> Interpreter | None:
    home = platformdirs.user_cache_path("fruits") / "python"
    installing = [str(find_uv()), "python", "install", "--quiet", "--no-bin", "--install-dir", str(home), _WANTED]
    # Where there is no network, that is told at once.
    environment = {"UV_HTTP_RETRIES": "0", **os.environ}
    ran = subprocess.run(installing, env=environment, capture_output=True, text=True)
    if ran.returncode:
        _log.debug("uv brings no Python: %s", ran.stderr.strip())
    found = sorted(home.glob(f"cpython-{VERSION}.*-linux-x86_64-gnu"), key=_patch)
    if not found:
        return None
    root = found[-1]
    program = root / "bin" / f"python{VERSION}"
    return Interpreter(
        root.name, program, root / "lib" / f"python{VERSION}", _shared(program, root / "lib"), is_standalone=True
    )


def _patch(root: Path) -> int:
    return int(root.name.split("-")[1].split(".")[2])


def _own() -> Interpreter:
    here = ".".join(map(str, sys.version_info[:2]))
    if (sys.platform, platform.machine(), here) != ("linux", "x86_64", VERSION):
        raise SetupError(
            f"uv cannot fetch the Python that the environment is made of ({_WANTED}), and this machine's own, "
            f"{here} on {sys.platform} {platform.machine()}, is not like it. Run this again where there is a network."
        )
    program = Path(sys.executable).resolve()
    shared = _shared(program, Path(sysconfig.get_config_var("LIBDIR")))
    return Interpreter(f"own-{sys.version}", program, Path(os.__file__).parent, shared, is_standalone=False)


def _shared(program: Path, folder: Path) -> Path | None:
    shared = folder / f"libpython{VERSION}.so.1.0"
    return shared if shared.name.encode() in program.read_bytes() else None
