"""The jars that pyspark's own wheel lacks (Delta, S3A, the AWS SDK) and the embedded S3 server's, fetched once a user.

`jars.txt` names each with its sha256. They live in the user's cache and are checked against the list on every use: a
class path that is complete, offline and the same on each machine.
"""

import fcntl
import hashlib
import logging
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import platformdirs

from conf import ivy
from conf.errors import SetupError
from conf.ivy import Jar

_LIST = Path(__file__).with_name("jars.txt")
_S3PROXY = ("org.gaul", "s3proxy")

_log = logging.getLogger(__name__)


def spark_jars() -> list[Path]:
    """List the verified jars for Spark, fetching what is missing.

    Raises
    ------
    SetupError
        A jar is missing and cannot be fetched, or is not the one in the list.
    """
    # The S3 server stays out: one fat jar that would shadow half of the class path.
    return _ready([jar for jar in listed_jars() if (jar.group, jar.artifact) != _S3PROXY])


def s3proxy_jar() -> Path:
    """Locate the verified jar of the embedded S3 server, fetching it if missing.

    Raises
    ------
    SetupError
        As for `spark_jars`.
    """
    return _ready([jar for jar in listed_jars() if (jar.group, jar.artifact) == _S3PROXY])[0]


def fetch_jars() -> None:
    """Bring every jar of the list that the user's cache lacks.

    Raises
    ------
    SetupError
        As for `spark_jars`.
    """
    _ready(listed_jars())


def listed_jars() -> list[Jar]:
    """Read the committed list: `group:artifact:version[:classifier]  sha256:<hex>`, one a line."""
    lines = (line.split("#")[0].split() for line in _LIST.read_text(encoding="utf-8").splitlines())
    return [_parse(*line) for line in lines if line]


def cache_folder() -> Path:
    """Where the jars live: one folder a user, shared by all clones."""
    return platformdirs.user_cache_path("fruits") / "jars"


def _parse(coordinates: str, checksum: str) -> Jar:
    group, artifact, version, *classifier = coordinates.split(":")
    return Jar(group, artifact, version, classifier[0] if classifier else None, checksum.removeprefix("sha256:"))


def _ready(jars: Sequence[Jar]) -> list[Path]:
    folder = cache_folder()
    if not all((folder / jar.name).exists() for jar in jars):
        _fetch(jars, folder)
    for jar in jars:
        _verify(folder, jar, f"Delete {folder / jar.name} and run this again.")
    return [folder / jar.name for jar in jars]


def _fetch(jars: Iterable[Jar], folder: Path) -> None:
    """Download under a lock into a side folder and move whole, verified files: no reader ever meets half a jar."""
    folder.mkdir(parents=True, exist_ok=True)
    incoming = folder / ".incoming"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [
            jar for jar in jars if not (folder / jar.name).exists()
        ]  # another process may have just brought them
        if not missing:
            return
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir()
        try:
            _log.info("Fetching jars into %s: %d", folder, len(missing))
            ivy.retrieve(missing, incoming)
            for jar in missing:
                _verify(incoming, jar, "It was thrown away. Run this again on a network that does not alter downloads.")
            for jar in missing:
                (incoming / jar.name).replace(folder / jar.name)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)


def _verify(folder: Path, jar: Jar, advice: str) -> None:
    with (folder / jar.name).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != jar.sha256:
        raise SetupError(
            f"{jar.name} is not the jar in {_LIST.name}: its sha256 is {found}, not {jar.sha256}. {advice}"
        )
