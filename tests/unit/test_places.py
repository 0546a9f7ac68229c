"""A file of the user's is the one of before or the new one, whatever happens while it is written."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from conf.errors import SettingsError
from scripts.fruits import fruits
from scripts.places import appearing, check_place


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_written_takes_the_place_at_the_end(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "model"
    (tmp_path / "model.part").mkdir()  # of one that was killed
    with appearing(place) as part:
        if kind == "folder":
            part.mkdir()
        (part / "stage" if kind == "folder" else part).write_text("new")
        assert not place.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (place / "stage" if kind == "folder" else place).read_text() == "new"


def test_what_fails_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "model"
    place.write_text("before")
    with pytest.raises(KeyboardInterrupt), appearing(place) as part:
        part.write_text("ne")
        raise KeyboardInterrupt
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("model", "before")]


def test_a_place_where_no_file_can_be_is_told(tmp_path: Path) -> None:
    check_place(tmp_path / "pca.npz", "pca.npz")
    with pytest.raises(SettingsError, match=r"is a folder: name a file in it, such as .*/pca\.npz"):
        check_place(tmp_path, "pca.npz")
    with pytest.raises(SettingsError, match="There is no folder"):
        check_place(tmp_path / "no" / "pca.npz", "pca.npz")


@pytest.mark.parametrize("command", ["export", "report", "explore", "model"])
def test_a_dash_makes_no_file_of_that_name(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(fruits, [command, "-"])
    assert (said.exit_code, "This goes into a file, not to stdout: name one, such as " in said.output) == (2, True)
    assert not list(tmp_path.iterdir())
