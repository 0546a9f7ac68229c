"""Fetch jars by the Ivy inside pyspark: no tool to install, no host to name, nothing that is not in the list."""

import importlib.util
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from conf.errors import SetupError
from conf.java import find_java

_LIMIT_S = 900
_WHY = re.compile("Host .* not found|Exception|module not found")
_CLASSIFIER = "http://ant.apache.org/ivy/maven"

# The resolver's default is the public Maven repository, asked for neither POMs nor metadata: the list is complete.
_SETTINGS = """<ivysettings>
  <settings defaultResolver="maven"/>
  <resolvers><ibiblio name="maven" m2compatible="true" usepoms="false" useMavenMetadata="false"/></resolvers>
</ivysettings>
"""


@dataclass(frozen=True)
class Jar:
    """A jar by its Maven coordinates, and the sha256 (hex) of the one that is meant."""

    group: str
    artifact: str
    version: str
    classifier: str | None
    sha256: str

    @property
    def name(self) -> str:
        """The file's name once fetched; the group keeps namesakes apart."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.group}_{self.artifact}-{self.version}{classifier}.jar"


def retrieve(jars: Sequence[Jar], into: Path) -> None:
    """Download `jars`, and only these, into a folder; all Ivy's own files stay below it too.

    Raises
    ------
    SetupError
        A jar cannot be had (most often for want of a network), or Java or pyspark is missing.
    """
    settings, module = into / "settings.xml", into / "ivy.xml"
    settings.write_text(_SETTINGS, encoding="utf-8")
    module.write_text(_module(jars), encoding="utf-8")
    pattern = f"{into}/[organisation]_[artifact]-[revision](-[classifier]).[ext]"
    command = [str(find_java().binary), f"-Divy.default.ivy.user.dir={into}", "-jar", str(_ivy_jar()), "-warn"]
    command += ["-settings", str(settings), "-ivy", str(module), "-cache", f"{into}/cache", "-retrieve", pattern]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise SetupError(f"Fetching jars took over {_LIMIT_S} s. Run `make setup` again on a faster network.") from None
    absent = [jar.name for jar in jars if not (into / jar.name).exists()]
    if absent:
        reasons = [line.strip() for line in done.stdout.splitlines() if _WHY.search(line)]
        reason = reasons[0] if reasons else f"Ivy ended with status {done.returncode}"
        raise SetupError(
            f"{absent[0]} (one of {len(absent)} missing jars) cannot be fetched: {reason}. "
            "Run `make setup` once where there is a network."
        )


def _ivy_jar() -> Path:
    """Find the Ivy that Spark brings along, without importing pyspark."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise SetupError("pyspark is not installed. Run `make setup`.")
    return next((Path(spec.origin).parent / "jars").glob("ivy-*.jar"))


def _module(jars: Iterable[Jar]) -> str:
    dependencies = "\n".join(_dependency(jar) for jar in jars)
    return (
        f'<ivy-module version="2.0" xmlns:m="{_CLASSIFIER}"><info organisation="fruits" module="jars"/>'
        f"<dependencies>\n{dependencies}\n</dependencies></ivy-module>"
    )


def _dependency(jar: Jar) -> str:
    name = quoteattr(jar.artifact)
    classifier = f" m:classifier={quoteattr(jar.classifier)}" if jar.classifier else ""
    return (
        f'<dependency org={quoteattr(jar.group)} name={name} rev={quoteattr(jar.version)} transitive="false">'
        f'<artifact name={name} type="jar" ext="jar"{classifier}/></dependency>'
    )
