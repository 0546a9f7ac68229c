"""From weights to the bytes that workers build their engine from: a LiteRT flatbuffer, or arrays for TensorFlow.

The work is done by `streaming.freeze` in a process of its own, so that the driver never loads TensorFlow (600 MB, and a
screen of log lines), and is kept in a cache, so that it is done once a machine.
"""

import hashlib
import importlib.metadata
import logging
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

from conf.errors import SetupError
from streaming.weights import wheel_weights

CACHE: Final = user_cache_path("fruits") / "models"
SHIPPED: Final = Path(sys.prefix) / "share" / "fruits" / "models"
"""Where an environment that was built for a platform has its weights and their conversion, as it has no TensorFlow."""
REFUSED: Final = 3  # exit status of streaming.freeze where its last line is for the user
_log = logging.getLogger(__name__)
_PATIENCE_S: Final = 600
_DIGEST: Final = hashlib.sha256().digest_size


def freeze(architecture: str, weights: Path, engine: str, cache: Path = CACHE) -> bytes:
    """Convert a network and its weights for an engine, or take the conversion from the cache.

    Parameters
    ----------
    architecture : str
    weights : Path
        The network's weights file.
    engine : {"litert", "tensorflow"}
    cache : Path
        A damaged file in it is made again; where it cannot be written, the conversion is only not kept.

    Returns
    -------
    bytes
        A flatbuffer from (1, 224, 224, 3) uint8 pixels to (1, d) float32 features, or the weight arrays as .npz.

    Raises
    ------
    SetupError
        If the weights are not those of the architecture, or TensorFlow cannot convert them, or is not there.
    """
    payload = _read(SHIPPED / _shipped_name(architecture, weights, engine))
    if payload is not None:
        return payload
    kept = cache / f"{architecture}-{engine}-{_fingerprint(weights)}"
    payload = _read(kept)
    if payload is None:
        _log.info("Preparing %s for %s: half a minute, once on this machine (kept in %s)", architecture, engine, cache)
        payload = _convert(architecture, weights, engine)
        try:
            _write(kept, payload)
        except OSError as error:
            _log.warning("%s cannot be kept, so the next start prepares it again: %s", kept, error)
    return payload


def ship(architecture: str, weights: Path, engine: str, folder: Path) -> None:
    """Put a conversion, and weights that come with no package, where `SHIPPED` of another environment will be."""
    _write(folder / _shipped_name(architecture, weights, engine), freeze(architecture, weights, engine))
    if weights != wheel_weights():
        shutil.copyfile(weights, folder / weights.name)


def download_imagenet(cache: Path = CACHE) -> Path:
    """Let Keras Applications download the ImageNet weights of MobileNetV2, once.

    Raises
    ------
    SetupError
        If there is no way to the internet, as in a private subnet, or `cache` cannot be written.
    """
    kept = cache / "mobilenet_v2-imagenet.h5"
    for there in (SHIPPED / kept.name, kept):
        if there.is_file():
            return there
    _log.info("Downloading the ImageNet weights of mobilenet_v2, 9 MB, to %s", kept)
    failure = (
        "The ImageNet weights of mobilenet_v2 cannot be downloaded. Set model.weights to the path of a copy, "
        "or keep to efficientnet_lite0, whose weights come with the package. The cause"
    )
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as home:  # Keras would take half a file for a whole one next time
            _run_freeze(["download"], failure, KERAS_HOME=home)
            (file,) = Path(home).glob("models/*.h5")
            return file.replace(kept)
    except OSError as error:
        raise SetupError(f"{failure}: {error}") from None


def _shipped_name(architecture: str, weights: Path, engine: str) -> str:
    """By the weights alone: the rest that a conversion depends on is of the environment, which never changes."""
    return f"{architecture}-{engine}-{hashlib.sha256(weights.read_bytes()).hexdigest()[:20]}"


def _fingerprint(weights: Path) -> str:
    """Digest of all that a conversion depends on: the weights, our definition of the network, the converter."""
    sources = [pkgutil.get_data("streaming", name) or b"" for name in ("network.py", "freeze.py")]
    # The distribution is tensorflow, or tensorflow-cpu, or a platform's own: only what it installs is certain.
    converters = ["keras", *importlib.metadata.packages_distributions().get("tensorflow", [])]
    try:
        versions = [importlib.metadata.version(name).encode() for name in converters]
    except importlib.metadata.PackageNotFoundError:
        raise SetupError(
            f"{weights} is to be prepared, and there is no TensorFlow here to do it. An environment that was deployed "
            "has the model of that moment: deploy again with these model.* settings."
        ) from None
    parts = [hashlib.sha256(part).digest() for part in (weights.read_bytes(), *sources, *versions)]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:20]


def _convert(architecture: str, weights: Path, engine: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "payload"
        what = f"{architecture} cannot be prepared from {weights}"
        _run_freeze([architecture, str(weights), engine, str(output)], what)
        return output.read_bytes()


def _run_freeze(arguments: list[str], failure: str, **environment: str) -> None:
    """Run `streaming.freeze` with this process's import path; the last line of its stderr is the cause of a failure."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment}
    command = [sys.executable, "-m", "streaming.freeze", *arguments]
    try:
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=_PATIENCE_S)
    except subprocess.CalledProcessError as error:
        _log.debug("%s", error.stderr)
        last = (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[-1]
        raise SetupError(last if error.returncode == REFUSED else f"{failure}: {last}") from None
    except subprocess.TimeoutExpired:
        raise SetupError(f"{failure}: not done after {_PATIENCE_S} s. Try again when the machine is idle.") from None


def _read(kept: Path) -> bytes | None:
    """Take a payload whose digest, written before it, still matches."""
    try:
        data = kept.read_bytes()
    except OSError:
        return None
    digest, payload = data[:_DIGEST], data[_DIGEST:]
    if hashlib.sha256(payload).digest() == digest:
        return payload
    _log.warning("%s is damaged, and is made again", kept)
    return None


def _write(kept: Path, payload: bytes) -> None:
    """Keep a payload behind its digest; a reader sees all of it or nothing."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        part = Path(folder) / kept.name
        part.write_bytes(hashlib.sha256(payload).digest() + payload)
        part.replace(kept)
