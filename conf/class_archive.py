"""The JVM's archive of Spark's classes: read, checked and linked once, so that a session starts in half the time.

The JVM calls it class data sharing (JEP 350). An archive fits one Java and one class path, of which its name tells;
where it does not fit, the JVM passes over it.
"""

import hashlib
import sys
from pathlib import Path

import pyspark

from conf.jars import cache_folder, listed_jars
from conf.java import Java

_FOLDER = Path(sys.prefix) / "share" / "fruits"
# What is wrong with an archive is said on stdout, and nothing that a person must act on.
_QUIET = "-Xlog:cds=off -Xlog:cds+dynamic=off"


def class_archive(java: Java) -> Path:
    """Where the archive for this Java is, or would be: set-up makes it (scripts/class_archive.py)."""
    release = java.home / "release"
    version = release.read_bytes() if release.is_file() else str(java.home).encode()
    class_path = [pyspark.__version__, str(cache_folder()), *sorted(jar.name for jar in listed_jars())]
    name = hashlib.blake2b(version + "\n".join(class_path).encode(), digest_size=8).hexdigest()
    return _FOLDER / f"spark-{name}.jsa"


def reading(archive: Path) -> str:
    """Options for a JVM that is to use it; one that does not fit costs no word."""
    return f'-XX:SharedArchiveFile="{archive}" {_QUIET}'


def writing(archive: Path) -> str:
    """Options for a JVM that is to make it when it ends, of all classes that it has loaded by then."""
    return f'-XX:ArchiveClassesAtExit="{archive}" {_QUIET}'
