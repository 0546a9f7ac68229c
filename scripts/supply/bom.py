"""The bill of materials, dist/fruits.cdx.json: `python -m scripts.supply.bom`, or `make sbom`.

CycloneDX 1.6 of what Fruits! runs on, on this platform: packages by cyclonedx-py, from what is installed, and the jars
of conf/jars.txt with their sha256. What only developers need is not in it.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from conf.ivy import Jar
from conf.jars import listed_jars
from scripts.supply.licences import Table
from scripts.supply.parts import ROOT, normalized, packages

FILE = ROOT / "dist" / "fruits.cdx.json"
_ROOT_REF = "root-component"


def bill() -> dict[str, Any]:
    """As JSON has it."""
    told = _environment()
    wanted = set(packages())
    root = told["metadata"]["component"]
    kept = [one for one in told["components"] if normalized(one["name"]) in wanted]
    jars, licences = listed_jars(), Table.read().jars
    refs = {one["bom-ref"] for one in kept} | {root["bom-ref"]}
    dependencies = [
        one | {"dependsOn": [ref for ref in one.get("dependsOn", []) if ref in refs]}
        for one in told["dependencies"]
        if one["ref"] in refs
    ]
    for one in dependencies:
        if one["ref"] == root["bom-ref"]:
            one["dependsOn"] += [purl(jar) for jar in jars]
    dependencies += [{"ref": purl(jar)} for jar in jars]
    components = [*kept, *(_component(jar, licences[jar.group]) for jar in jars)]
    return told | {"components": components, "dependencies": dependencies}


def purl(jar: Jar) -> str:
    """A jar's package URL."""
    qualifiers = f"?classifier={quote(jar.classifier)}" if jar.classifier else ""
    return f"pkg:maven/{quote(jar.group)}/{quote(jar.artifact)}@{quote(jar.version)}{qualifiers}"


def validate(text: str) -> None:
    """SystemExit where it is no bill of materials by CycloneDX's own schema."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"What was made is no CycloneDX 1.6: {error.data.message}")


def main() -> None:
    """Write the file."""
    text = json.dumps(bill(), indent=2) + "\n"
    validate(text)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text, encoding="utf-8")
    print(FILE.relative_to(ROOT))


def _environment() -> dict[str, Any]:
    """All that is installed here, as cyclonedx-py tells it, with Fruits! as the root."""
    with tempfile.TemporaryDirectory(prefix="fruits-bom-") as folder:
        file = Path(folder) / "all.json"
        words = ["environment", "--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--no-validate"]
        command = [str(Path(sys.executable).with_name("cyclonedx-py")), *words, "--output-file", str(file), sys.prefix]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _component(jar: Jar, licence: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": purl(jar),
        "group": jar.group,
        "name": jar.artifact,
        "version": jar.version,
        "hashes": [{"alg": "SHA-256", "content": jar.sha256}],
        "licenses": [{"license": {"id": licence}}],
        "purl": purl(jar),
    }


if __name__ == "__main__":
    main()
