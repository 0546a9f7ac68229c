"""What goes into an environment that is deployed, and that it is the same whenever it is made of the same."""

import ast
import importlib.metadata
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from conf.errors import SetupError
from conf.settings import Model
from scripts.deployment import artefacts, environment, interpreter, locked, packing, wheel
from scripts.deployment.artefacts import spark_properties
from streaming import flatbuffer
from streaming.model import load_model, weights_path

ROOT = Path(__file__).parents[2]
LOCK = """\
numpy==2.4.0 ; python_full_version < '3.12' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
numpy==2.5.0 ; python_full_version >= '3.12' \\
    --hash=sha256:cc
Some.Package==1.0 \\
    --hash=sha256:dd
pytest==9.0 \\
    --hash=sha256:ee
"""


def test_an_environment_has_what_the_requirements_come_to_less_what_is_left_out_and_only_it_needs() -> None:
    assert {"boto3", "botocore", "s3transfer", "six"} <= locked.needed(["boto3"], (), "3.11")
    assert locked.needed(["boto3"], {"botocore"}, "3.11") == {"boto3", "s3transfer", "jmespath"}


def test_a_requirement_of_another_system_is_none() -> None:
    assert locked.needed(["numpy ; sys_platform == 'darwin'", "six ; python_version < '3.12'"], (), "3.11") == {"six"}
    assert locked.needed(["six ; python_version < '3.12'"], (), "3.12") == set()


def test_what_an_extra_needs_is_needed() -> None:
    assert "requests" not in locked.needed(["moto"], {"requests"}, "3.11")
    assert "py-partiql-parser" in locked.needed(["moto[s3]"], (), "3.11")
    assert "py-partiql-parser" not in locked.needed(["moto"], (), "3.11")


def test_only_entries_of_what_is_needed_are_taken_with_all_their_hashes() -> None:
    assert locked.lines(LOCK, {"numpy", "some-package"}) == LOCK[: LOCK.index("pytest")]


def test_what_is_not_locked_is_told() -> None:
    with pytest.raises(SetupError, match=r"does not have pandas, six\."):
        locked.lines(LOCK, {"six", "numpy", "pandas"})


def test_an_archive_of_the_same_files_has_the_same_bytes(tmp_path: Path) -> None:
    for name, time in (("one", 1_000_000_000), ("two", 1_500_000_000)):
        tree = tmp_path / name
        (tree / "bin").mkdir(parents=True)
        # Made in another order, at another time, with other rights of others.
        for file in ("bin/python3.11", "read.me") if name == "one" else ("read.me", "bin/python3.11"):
            (tree / file).write_text(file)
            os.utime(tree / file, (time, time))
        (tree / "bin/python3.11").chmod(0o755 if name == "one" else 0o700)
        (tree / "bin/python3").symlink_to("python3.11")
        packing.pack(tree, tmp_path / f"{name}.gz")
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


def test_an_archive_of_several_parts_is_one_to_tar(tmp_path: Path) -> None:
    for name in ("python", "project"):
        (tmp_path / name / "lib").mkdir(parents=True)
        (tmp_path / name / "lib" / f"{name}.py").write_text(name)
        os.link(tmp_path / name / "lib" / f"{name}.py", tmp_path / name / "linked")
        packing.pack(tmp_path / name, tmp_path / f"{name}.gz")
    packing.join([tmp_path / "python.gz", tmp_path / "project.gz"], tmp_path / "both.tar.gz")
    (tmp_path / "out").mkdir()
    # By the program that Spark unpacks it with.
    subprocess.run(["tar", "-xzf", "../both.tar.gz"], cwd=tmp_path / "out", check=True)
    found = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert found == ["linked", "project.py", "python.py"]
    with tarfile.open(tmp_path / "both.tar.gz") as archive:
        assert not any(member.islnk() for member in archive)


def test_the_newest_c_library_that_is_asked_for_is_found(tmp_path: Path) -> None:
    (tmp_path / "old.so").write_bytes(b"\x7fELF\0GLIBC_2.2.5\0GLIBC_2.17\0")
    (tmp_path / "new.so").write_bytes(b"\x7fELF\0GLIBC_2.9\0GLIBC_2.38\0GLIBCXX_3.4.99\0")
    assert interpreter.newest_glibc([tmp_path / "old.so"]) == (2, 17)
    assert interpreter.newest_glibc([tmp_path / "old.so", tmp_path / "new.so"]) == (2, 38)


@pytest.mark.parametrize(("is_standalone", "glibc", "runs"), [(True, 17, True), (True, 38, False), (False, 17, False)])
def test_an_environment_that_will_not_run_there_is_told_of(
    tmp_path: Path, is_standalone: bool, glibc: int, runs: bool
) -> None:
    (tmp_path / "python3.11").write_bytes(b"\x7fELF\0GLIBC_2.%d\0" % glibc)
    python = interpreter.Interpreter("", tmp_path / "python3.11", tmp_path, None, is_standalone)
    told = interpreter.doubts(python)
    assert (told == ()) == runs
    assert runs or f"asks for glibc 2.{glibc}" in told[0]


def test_an_environment_has_every_package_that_a_job_imports() -> None:
    entries = artefacts._entries(artefacts._project()["dependencies"], Model(), "emr")
    there = {canonicalize_name(line.split("==")[0]) for line in entries.splitlines() if "==" in line}
    packages = importlib.metadata.packages_distributions()
    lacking = set()
    # What `scripts` imports beside is for people's own machines.
    for source in (source for room in ("conf", "streaming", "batch") for source in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for top in {name.partition(".")[0] for name in names} & set(packages):
                if not there & {canonicalize_name(one) for one in packages[top]}:
                    lacking.add((top, source.name))
    # Spark is the platform's, types are for mypy, and no job converts networks or writes files for other programs.
    elsewhere = {"pyspark", "conf", "streaming", "batch", "scripts", "mypy_boto3_s3", "mypy_boto3_sqs"}
    not_in_jobs = {"network.py", "freeze.py", "engines.py", "export.py", "interchange.py"}
    assert {(top, name) for top, name in lacking if top not in elsewhere and name not in not_in_jobs} == set()


def test_a_job_takes_python_delta_and_daemon_from_where_they_are() -> None:
    told = spark_properties("emr", "s3://fruits/artefacts/0.1.0-abc")
    assert told["spark.archives"] == "s3://fruits/artefacts/0.1.0-abc/environment.tar.gz#environment"
    for name in ("spark.pyspark.python", "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON"):
        assert told[name] == "./environment/bin/python3"
    assert "spark.emr-serverless.driverEnv.PYSPARK_PYTHON" not in spark_properties("ec2", "s3://fruits")


def test_a_shipped_model_needs_neither_tensorflow_nor_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "mine.pth"
    weights.write_bytes(b"weights")
    shipped = tmp_path / "shipped"
    monkeypatch.setattr(flatbuffer, "freeze", lambda *_: b"a flatbuffer")
    flatbuffer.ship("efficientnet_lite0", weights, "litert", shipped)
    monkeypatch.undo()
    monkeypatch.setattr(flatbuffer, "SHIPPED", shipped)
    monkeypatch.setattr(flatbuffer, "_fingerprint", lambda _: pytest.fail("Something was to be converted."))
    # Under the name that it had where it was deployed from.
    elsewhere = "/home/somebody/mine.pth"
    assert weights_path("efficientnet_lite0", elsewhere).read_bytes() == b"weights"
    assert load_model("efficientnet_lite0", elsewhere, cache=tmp_path / "cache").payload == b"a flatbuffer"


def test_another_model_than_the_shipped_one_is_told_without_tensorflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flatbuffer.importlib.metadata, "packages_distributions", dict)
    real = flatbuffer.importlib.metadata.version
    missing = flatbuffer.importlib.metadata.PackageNotFoundError

    def version(name: str) -> str:
        if name == "keras":
            raise missing
        return real(name)

    monkeypatch.setattr(flatbuffer.importlib.metadata, "version", version)
    (tmp_path / "other.pth").write_bytes(b"others")
    with pytest.raises(SetupError, match=r"no TensorFlow here .* deploy again"):
        load_model("efficientnet_lite0", str(tmp_path / "other.pth"), cache=tmp_path)


def test_the_wheel_of_a_platform_with_a_spark_brings_the_model_and_no_packages(tmp_path: Path) -> None:
    built = wheel.build(ROOT, tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net").write_bytes(b"a flatbuffer")
    wheel.with_models(built, tmp_path / "models")
    uv = str(interpreter.find_uv())
    subprocess.run([uv, "venv", "--quiet", "--offline", "--python", sys.executable, "venv"], cwd=tmp_path, check=True)
    # With its dependencies, of which there are none.
    installing = [uv, "pip", "install", "--quiet", "--offline", "--no-index", "--python", "venv/bin/python", str(built)]
    subprocess.run(installing, cwd=tmp_path, check=True)
    asking = "import conf, streaming, batch, scripts, sys; print(open(sys.prefix + '/share/fruits/models/net').read())"
    ran = subprocess.run([tmp_path / "venv/bin/python", "-c", asking], cwd=tmp_path, capture_output=True, text=True)
    assert ran.stdout == "a flatbuffer\n", ran.stderr
    assert len(list((tmp_path / "venv").glob("lib/*/site-packages/*.dist-info"))) == 1


def test_compiled_files_are_the_same_each_time_and_name_no_place(tmp_path: Path) -> None:
    for name in ("one", "a-longer-name"):
        (tmp_path / name / "lib").mkdir(parents=True)
        (tmp_path / name / "lib" / "module.py").write_text(
            "LABELS = {'apple', 'pear', 'fig'}\n\ndef f():\n    raise OSError\n"
        )
        environment.compile_all(tmp_path / name)
    one, other = ((tmp_path / name).rglob("*.pyc") for name in ("one", "a-longer-name"))
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in other] != []
    ran = subprocess.run(
        [sys.executable, "-c", "import module; module.f()"],
        cwd=tmp_path / "one" / "lib",
        capture_output=True,
        text=True,
    )
    assert "lib/module.py" in ran.stderr
