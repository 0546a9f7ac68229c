"""What may be dropped under which name."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from conf.errors import DataError
from scripts.drop import check_name
from scripts.fruits import fruits


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
        ("apple/" + 300 * "ä€" + ".jpg", "1510 bytes"),
    ],
)
def test_a_name_that_would_be_lost_is_refused_before_anything_is_dropped(name: str, why: str) -> None:
    with pytest.raises(DataError, match=why) as raised:
        check_name(Path("photos"), name)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "name", ["apple green/ü +#%&'\"*[].jpg", "a/b/c/no extension", "apple/NFD e\u0301.jpeg", "苹果/🍎.png"]
)
def test_odd_names_are_fine(name: str) -> None:
    check_name(Path("photos"), name)


def test_a_folder_is_dropped_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "good.jpg").write_bytes(b"x")
    (tmp_path / "new\nline.jpg").write_bytes(b"x")
    said = CliRunner().invoke(fruits, ["drop", str(tmp_path)])
    assert (said.exit_code, said.output.count("\n")) == (1, 1)
    assert "nothing was dropped" in said.output


def test_two_files_of_one_name_are_not_dropped_on_each_other(tmp_path: Path) -> None:
    for day in ("day1", "day2"):
        (tmp_path / day / "apple").mkdir(parents=True)
        (tmp_path / day / "apple" / "1.jpg").write_bytes(day.encode())
    said = CliRunner().invoke(fruits, ["drop", *(str(tmp_path / day / "apple") for day in ("day1", "day2"))])
    assert (said.exit_code, said.output.count("\n")) == (1, 1)
    assert "would both be dropped as 'apple/1.jpg'" in said.output
