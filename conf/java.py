"""The Java that Spark and the embedded S3 run on: found wherever it is installed, 17 or 21 and nothing else."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conf.errors import SetupError

FIT = (17, 21)
"""The versions that Spark 4.1 supports, the preferred one first."""

FOLDERS = (
    "/usr/lib/jvm/*",  # Linux distributions
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",  # macOS installers: what /usr/libexec/java_home reads
    "/opt/homebrew/opt/openjdk@*/libexec/openjdk.jdk/Contents/Home",  # Homebrew, which macOS is not told of
    "~/.jdk/*",  # install-jdk, a JDK
    "~/.jre/*",  # install-jdk, a JRE: what set-up asks for
    "~/.jre/*/Contents/Home",
)

_RELEASE = re.compile(r'^JAVA_VERSION="(?:1\.)?(\d+)', re.MULTILINE)
_ASKED_VERSION = re.compile(r"java\.specification\.version = (?:1\.)?(\d+)")
_ASKED_HOME = re.compile(r"java\.home = (.+)")


@dataclass(frozen=True)
class Java:
    """An installed Java: its home folder and its major version."""

    home: Path
    major: int

    @property
    def binary(self) -> Path:
        """The `java` launcher."""
        return self.home / "bin" / "java"


def find_java(environ: Mapping[str, str] = os.environ, folders: Sequence[str] = FOLDERS) -> Java:
    """Find a Java that Spark runs on: a fit JAVA_HOME, else the first 17 on PATH or in the usual folders, else a 21.

    Parameters
    ----------
    environ
        Where JAVA_HOME and PATH are read.
    folders
        Glob patterns of Java homes, in order; `~` is the user's home.

    Raises
    ------
    SetupError
        No Java 17 or 21 anywhere; the message names every place looked at and the version found there.
    """
    seen: list[tuple[str, Java | None]] = []
    for place, java in _places(environ, folders):
        if place == "JAVA_HOME" and java and java.major in FIT:
            return java
        seen.append((place, java))
    for major in FIT:
        for _, java in seen:
            if java and java.major == major:
                return java
    raise SetupError(_nothing_fits(seen))


def _places(environ: Mapping[str, str], folders: Sequence[str]) -> Iterator[tuple[str, Java | None]]:
    """Yield every place looked at, in order, with the Java found there or None."""
    home = environ.get("JAVA_HOME")
    yield "JAVA_HOME", _java_at(Path(home) / "bin" / "java") if home else None
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    yield "PATH", _java_at(Path(on_path)) if on_path else None
    for pattern in folders:
        expanded = Path(pattern).expanduser()
        found = [
            java for path in sorted(Path("/").glob(f"{expanded.relative_to('/')}/bin/java")) if (java := _java_at(path))
        ]
        yield from ((pattern, java) for java in dict.fromkeys(found)) if found else [(pattern, None)]


def _java_at(binary: Path) -> Java | None:
    """Read the version beside a launcher; ask the launcher only where nothing is written there (shims, stubs)."""
    if not binary.is_file():
        return None
    home = binary.resolve().parent.parent
    try:
        written = _RELEASE.search((home / "release").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        written = None
    return Java(home, int(written[1])) if written else _ask(binary)


def _ask(binary: Path) -> Java | None:
    try:
        answer = subprocess.run(
            [binary, "-XshowSettings:properties", "-version"], capture_output=True, text=True, timeout=20, check=True
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    version, home = _ASKED_VERSION.search(answer), _ASKED_HOME.search(answer)
    return Java(Path(home[1].strip()), int(version[1])) if version and home else None


def _nothing_fits(seen: Sequence[tuple[str, Java | None]]) -> str:
    looked = "\n".join(f"  {place}: {f'Java {java.major} in {java.home}' if java else 'none'}" for place, java in seen)
    return (
        f"Spark needs Java 17 or 21 and none was found. Looked at:\n{looked}\n"
        "Run `make setup`, or install one (Debian, Ubuntu: `apt-get install openjdk-17-jre-headless`; "
        "macOS: `brew install openjdk@17`), or point JAVA_HOME at the one you have."
    )
