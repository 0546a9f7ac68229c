"""Bring what Python packages cannot: a Java, the jars, an archive of Spark's classes.

`python -m scripts.setup`, silent where all is there.
"""

import importlib
import logging
import os
import shutil
import subprocess
import sys

from conf.errors import SetupError
from conf.jars import fetch_jars
from conf.java import FIT, Java, find_java
from scripts.class_archive import ensure_class_archive

_log = logging.getLogger(__name__)


def main() -> int:
    """Set this machine up; the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        ensure_java()
        fetch_jars()
        ensure_class_archive()
    except SetupError as error:
        _log.error("%s", error)
        return 1
    except KeyboardInterrupt:
        _log.error("Interrupted. Nothing is left half done: run it again.")
        return 130
    return 0


def ensure_java() -> Java:
    """Find a fit Java; else install one, by Debian's package where that is ours to do, or in the user's home.

    Raises
    ------
    SetupError
        No way to install one worked; the message tells where was looked and what to install.
    """
    try:
        return find_java()
    except SetupError as error:
        if not (_install_package() or _install_in_home()):
            raise error from None
        return find_java()


def _install_package() -> bool:
    """Install from Debian or Ubuntu, whose releases carry either 17 or 21."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return False
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([apt, "update"], env=environ, capture_output=True)
    for major in FIT:
        package = f"openjdk-{major}-jre-headless"
        _log.info("Installing %s with apt-get", package)
        install = [apt, "install", "--yes", "--no-install-recommends", package]
        if subprocess.run(install, env=environ, capture_output=True).returncode == 0:
            return True
    return False


def _install_in_home() -> bool:
    """Install a JRE below the user's home, where `find_java` looks."""
    try:
        jdk = importlib.import_module("jdk")
    except ImportError:
        return False
    _log.info("Installing Java %d in your home folder (~/.jre)", FIT[0])
    try:
        jdk.install(str(FIT[0]), jre=True)
    except (jdk.JdkError, OSError) as error:
        _log.warning("That failed: %s", error)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
