"""What may be dropped under which name."""

import os
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from conf.errors import DataError
from conf.settings import EMBEDDED, Storage
from scripts.drop import check_names, name_files
from scripts.fruits import fruits

EMBEDDED_STORE = Storage(bucket="fruits", endpoint=EMBEDDED)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("apple/new\nline.jpg", "control character"),
        ("apple/tab\t.jpg", "control character"),
        ("apple/\x7f.jpg", "control character"),
        ("apple/\udcff.jpg", "no UTF-8"),
        ("../up/1.jpg", "dots alone"),
        ("//1.jpg", "empty"),
        ("_x/1.jpg", "leading _ or dot"),
        ("apple/.hidden.jpg", "leading _ or dot"),
        ("apple/" + 300 * "ä€" + ".jpg", "1,518 bytes, and S3 takes 1,024"),
        ("apple/" + 107 * "é" + ".jpg", "file's name has 218 bytes, and the embedded S3 takes 213"),
        (256 * "a" + "/1.jpg", "folder's name has 256 bytes, and the embedded S3 takes 255"),
    ],
)
def test_a_name_that_would_be_lost_is_refused_before_anything_is_dropped(name: str, why: str) -> None:
    with pytest.raises(DataError, match=why) as raised:
        check_names([(Path("photos"), name)], EMBEDDED_STORE)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "name", ["apple green/ü +#%&'\"*[].jpg", "a/b/c/no extension", "apple/NFD e\u0301.jpeg", "苹果/🍎.png"]
)
def test_odd_names_are_fine(name: str) -> None:
    check_names([(Path("photos"), name)], EMBEDDED_STORE)


def test_s3_itself_takes_names_that_the_embedded_one_does_not() -> None:
    check_names([(Path("photos"), "apple/" + 300 * "a")], Storage(bucket="fruits"))


def test_a_folder_is_dropped_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "good.jpg").write_bytes(b"x")
    (tmp_path / "ünïcode").mkdir()
    (tmp_path / "ünïcode" / "new\nline.jpg").write_bytes(b"x")
    said = CliRunner().invoke(fruits, ["drop", str(tmp_path)])
    assert (said.exit_code, said.output.count("\n")) == (1, 1)
    assert "nothing was dropped" in said.output
    assert r"as 'ünïcode/new\nline.jpg'" in said.output


def test_all_files_that_cannot_be_dropped_are_told_at_once() -> None:
    names = [f"ünïcode/{number}\udcfc\t.jpg" for number in range(12)]
    with pytest.raises(DataError) as raised:
        check_names([(Path(name), name) for name in ["apple/1.jpg", *names]], EMBEDDED_STORE)
    first, *told, more = str(raised.value).splitlines()
    assert first == "Rename 12 files; nothing was dropped."
    assert told[0].startswith(r"'ünïcode/0\xfc\t.jpg' cannot be dropped as ")
    assert (len(told), more) == (10, "and 2 more")


def test_what_is_passed_over_is_counted(tmp_path: Path) -> None:
    (tmp_path / "apple").mkdir()
    for name in ("apple/1.jpg", "apple/.DS_Store", "_list.csv"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".git" / "objects").mkdir(parents=True)
    (tmp_path / "apple" / "again.jpg").symlink_to("1.jpg")
    (tmp_path / "pear").symlink_to("apple")
    (tmp_path / "kiwi").symlink_to("gone")
    os.mkfifo(tmp_path / "apple" / "pipe")
    passed_over: Counter[str] = Counter()
    assert [name for _, name in name_files(tmp_path, passed_over=passed_over)] == ["apple/1.jpg", "apple/again.jpg"]
    assert passed_over == {"hidden or _ name": 3, "linked folder": 1, "broken link": 1, "special file": 1}
    (tmp_path / "apple" / "1.jpg").unlink()
    said = CliRunner().invoke(fruits, ["drop", str(tmp_path)])
    assert said.exit_code == 1
    assert "3 hidden or _ names" in said.output
    assert "2 broken links" in said.output


def test_a_label_is_not_for_a_folder(tmp_path: Path) -> None:
    said = CliRunner().invoke(fruits, ["drop", str(tmp_path), "--label", "zed"])
    assert (said.exit_code, "--label is for files given by name" in said.output) == (2, True)


def test_two_files_of_one_name_are_not_dropped_on_each_other(tmp_path: Path) -> None:
    for day in ("day1", "day2"):
        (tmp_path / day / "apple").mkdir(parents=True)
        (tmp_path / day / "apple" / "1.jpg").write_bytes(day.encode())
    said = CliRunner().invoke(fruits, ["drop", *(str(tmp_path / day / "apple") for day in ("day1", "day2"))])
    assert (said.exit_code, said.output.count("\n")) == (1, 1)
    assert "would both be dropped as 'apple/1.jpg'" in said.output
