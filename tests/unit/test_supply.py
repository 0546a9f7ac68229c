"""What Fruits! is made of: nothing but what was locked comes in, and what did is told, licence and all."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PathDistribution
from pathlib import Path
from threading import Thread

import pytest

from scripts.supply import advisories, licences
from scripts.supply.advisories import Answer, Vulnerability, Waiver, judge, understood, waivers
from scripts.supply.licences import Part, Table, licence_of, page, parts
from scripts.supply.parts import LOCK, ROOT, locked, packages

TODAY = date(2026, 5, 4)
FOUND = Vulnerability("example", "1.0", ("PYSEC-2026-1", "CVE-2026-1"), ("1.1",))
WAIVER = Waiver("CVE-2026-1", "example", "Its server is never started.", date(2026, 6, 1))


def test_every_line_of_the_lock_is_one_version_with_its_hashes() -> None:
    blocks = re.split(r"(?m)^(?=[a-zA-Z0-9])", LOCK.read_text())[1:]
    assert len(blocks) > 100
    for block in blocks:
        assert re.match(r"[a-zA-Z0-9._-]+==\S+", block), block
        assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block)) >= 1, block


@pytest.mark.parametrize("altered", [False, True], ids=["as locked", "a byte changed"])
def test_a_package_that_is_not_the_one_locked_is_not_installed(tmp_path: Path, altered: bool) -> None:
    wheel = tmp_path / "apple-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("apple.py", "ripe = True\n")
        file.writestr("apple-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: apple\nVersion: 1.0\n")
        file.writestr("apple-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("apple-1.0.dist-info/RECORD", "apple.py,,\n")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (tmp_path / "requirements.lock").write_text(f"apple==1.0 --hash=sha256:{digest}\n")
    if altered:
        wheel.write_bytes(wheel.read_bytes().replace(b"ripe = True", b"ripe = Tru3"))
    shutil.copy(ROOT / "requirements-bootstrap.lock", tmp_path)
    environment = os.environ | {
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(tmp_path),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
    }
    script = ROOT / "scripts" / "bootstrap.sh"
    ran = subprocess.run(["sh", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    installed = list(tmp_path.glob(".venv/lib/*/site-packages/apple.py"))
    # There is no project to install in that folder, which is met only after the packages.
    says = (
        "packages of requirements.lock could not be installed" if altered else "project itself could not be installed"
    )
    assert (ran.returncode, says in ran.stderr, bool(installed)) == (1, True, not altered), ran.stderr


def test_what_it_needs_to_run_is_told_from_what_developers_need() -> None:
    found = set(packages())
    assert {"pyspark", "boto3", "botocore", "pydantic-core", "keras"} <= found
    assert not found & {"fruits", "pytest", "mypy", "moto", "pip-audit", "hypothesis", "playwright"}
    requirements = locked(found)
    assert {re.split("==", line)[0] for line in requirements.splitlines() if "==" in line} == found
    assert requirements.count("--hash") >= len(found)


def test_every_part_is_under_a_licence_that_parts_may_have() -> None:
    table = Table.read()
    assert [part for part in parts(table) if table.refuses(part)] == []


@pytest.mark.skipif((sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the page is of Linux on x86-64")
def test_the_page_of_licences_is_as_it_would_be_written() -> None:
    assert licences.PAGE.read_text() == page(parts(Table.read())), "run `make docs`"


@pytest.mark.parametrize(
    ("metadata", "licence", "refused"),
    [
        ("License-Expression: MIT OR Apache-2.0", "MIT OR Apache-2.0", False),
        ("License-Expression: MIT AND (Apache-2.0 OR AGPL-3.0-only)", "MIT AND (Apache-2.0 OR AGPL-3.0-only)", True),
        ("License-Expression: GPL-3.0-or-later", "GPL-3.0-or-later", True),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT", False),
        ("License: Apache 2.0", "Apache-2.0", False),
        ("Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)", "unknown", True),
        ("License: GPL", "unknown", True),
        ("License: UNKNOWN", "unknown", True),
        ("Summary: says nothing", "unknown", True),
    ],
)
def test_a_part_under_another_licence_is_refused(tmp_path: Path, metadata: str, licence: str, refused: bool) -> None:
    folder = tmp_path / "stranger-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: stranger\nVersion: 1.0\n{metadata}\n")
    assert licence_of(PathDistribution(folder)) == licence
    assert Table.read().refuses(Part("package", "stranger", licence)) == refused


@pytest.mark.parametrize(
    ("answer", "waived", "status", "says"),
    [
        (Answer((), 70, ()), [], 0, "Of 70 locked packages no vulnerability is known."),
        (
            Answer((), 69, ("apple",)),
            [],
            0,
            "Of 69 locked packages no vulnerability is known; of 1 nothing is known: apple",
        ),
        (Answer((FOUND,), 70, ()), [], 1, "example 1.0: PYSEC-2026-1, fixed in 1.1"),
        (Answer((FOUND,), 70, ()), [WAIVER], 0, "no vulnerability is known, 1 waived"),
        (Answer((FOUND,), 70, ()), [Waiver("CVE-2026-1", "other", "", date(2026, 6, 1))], 1, "example 1.0"),
        (Answer((FOUND,), 70, ()), [Waiver("CVE-2026-1", "example", "", date(2026, 5, 3))], 1, "example 1.0"),
        (Answer((), 0, ("apple", "pear")), [], 0, "is not known"),
        (None, [], 0, "is not known"),
    ],
)
def test_a_known_vulnerability_fails_and_an_unknown_one_is_not_called_none(
    answer: Answer | None, waived: list[Waiver], status: int, says: str
) -> None:
    found, said = judge(answer, waived, TODAY)
    assert found == status
    assert says in said


def test_waivers_are_as_the_file_says_they_are_written(tmp_path: Path) -> None:
    written = advisories.WAIVERS.read_text()
    example = "\n".join(line.removeprefix("#").strip() for line in written.splitlines() if line.startswith("#  "))
    (tmp_path / "waivers.toml").write_text(example)
    assert [one.id for one in waivers(tmp_path / "waivers.toml")] == ["PYSEC-2026-1"]
    for waiver in waivers():
        assert waiver.reason


@contextmanager
def source_of_advisories(answers: dict[str, object]) -> Iterator[str]:
    """A server that answers as OSV does."""

    class Source(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(answers.get(asked["package"]["name"], {})).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Source) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def osv(url: str) -> tuple[str, ...]:
    return "--vulnerability-service", "osv", "--osv-url", url


def test_a_source_is_asked_about_each_locked_package_and_believed() -> None:
    flaw = {
        "id": "PYSEC-2026-1",
        "aliases": ["CVE-2026-1"],
        "affected": [
            {
                "package": {"name": "six", "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}],
                "versions": [packages()["six"].version],
            }
        ],
    }
    requirements = locked({"six", "idna"})
    with source_of_advisories({"six": {"vulns": [flaw]}}) as url:
        answer = advisories.ask(requirements, osv(url))
    assert answer is not None
    assert (answer.told, answer.untold) == (2, ())
    (found,) = answer.known
    assert (found.package, found.fixed_in) == ("six", ("9.9",))
    assert "CVE-2026-1" in found.ids


def test_without_a_network_one_line_says_that_nothing_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        advisories.main([osv("http://127.0.0.1:9/v1/query")])
    said = capsys.readouterr()
    assert (ended.value.code, said.out.count("\n"), said.err) == (0, 1, "")
    assert "not known" in said.out
    assert "clean" not in said.out


def test_a_lock_that_cannot_be_read_is_no_missing_network() -> None:
    with pytest.raises(SystemExit, match="pip-audit failed"):
        advisories.ask("apple==1.0\n", osv("http://127.0.0.1:9/v1/query"))


def test_a_package_that_a_source_does_not_know_is_told_apart() -> None:
    told = {
        "dependencies": [{"name": "apple", "skip_reason": "not found"}, {"name": "pear", "version": "1", "vulns": []}]
    }
    assert understood(json.dumps(told)) == Answer((), 1, ("apple",))
