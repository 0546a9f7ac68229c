"""The project's wheel: as it is built, and as a platform wants it that brings the packages by itself."""

import base64
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

from conf.errors import SetupError
from streaming.flatbuffer import SHIPPED

# Of every entry, so that the same files make the same wheel: hatchling's.
_DATE = (2020, 2, 2, 0, 0, 0)


def build(tree: Path, folder: Path) -> Path:
    """Build it from the project's tree.

    Raises
    ------
    SetupError
        Where that fails.
    """
    building = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    ran = subprocess.run(building, cwd=tree, capture_output=True, text=True)
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1]
        raise SetupError(f"The wheel cannot be built from {tree}: {last}. Run: make setup")
    (wheel,) = folder.glob("*.whl")
    return wheel


def with_models(wheel: Path, models: Path) -> None:
    """Put models in, where an environment has them that it is installed in, and take out what it depends on.

    pip would bring a second Spark for that, beside the platform's.
    """
    with zipfile.ZipFile(wheel) as given:
        files = {name: given.read(name) for name in given.namelist()}
    name = "-".join(wheel.name.split("-")[:2])
    metadata, record = f"{name}.dist-info/METADATA", f"{name}.dist-info/RECORD"
    kept = (line for line in files[metadata].splitlines(keepends=True) if not line.startswith(b"Requires-Dist:"))
    files[metadata] = b"".join(kept)
    for model in sorted(models.iterdir()):
        # What is below `data` goes to the environment itself.
        files[f"{name}.data/data/{SHIPPED.relative_to(sys.prefix)}/{model.name}"] = model.read_bytes()
    del files[record]
    files[record] = "".join(
        [*(f"{path},{_digest(data)},{len(data)}\n" for path, data in files.items()), f"{record},,\n"]
    ).encode()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as made:
        for path, data in files.items():
            made.writestr(zipfile.ZipInfo(path, _DATE), data, zipfile.ZIP_DEFLATED)


def _digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
