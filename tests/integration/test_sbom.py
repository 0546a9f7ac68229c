"""The bill of materials of what is installed."""

import json

import pytest

from conf.jars import listed_jars
from scripts.supply import bom
from scripts.supply.parts import normalized, packages


def test_the_bill_of_materials_has_each_package_and_jar_and_passes_its_schema() -> None:
    told = bom.bill()
    bom.validate(json.dumps(told))
    versions = {normalized(one["name"]): one["version"] for one in told["components"] if "pypi" in one["purl"]}
    assert versions == {name: found.version for name, found in packages().items()}
    hashes = {one["purl"]: one["hashes"][0]["content"] for one in told["components"] if "maven" in one["purl"]}
    assert hashes == {bom.purl(jar): jar.sha256 for jar in listed_jars()}
    refs = {one["bom-ref"] for one in told["components"]} | {told["metadata"]["component"]["bom-ref"]}
    assert {ref for one in told["dependencies"] for ref in (one["ref"], *one.get("dependsOn", ()))} == refs
    with pytest.raises(SystemExit, match="no CycloneDX"):
        bom.validate(json.dumps(told | {"components": [{"name": "without a type"}]}))
