"""Settings: which place counts, and what a wrong one says."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from conf.errors import SettingsError
from conf.settings import PROFILES, find_layers, flatten, load


def test_command_line_over_environment_over_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load("test").stream.max_files == 50
    monkeypatch.setenv("FRUITS_STREAM__MAX_FILES", "60")
    assert load("test").stream.max_files == 60
    assert load("test", ["stream.max_files=70"]).stream.max_files == 70


@pytest.mark.parametrize("profile", sorted(path.stem for path in PROFILES.glob("*.toml")))
def test_every_profile_that_ships_loads(profile: str) -> None:
    assert load(profile, ["storage.bucket=mine"]).storage.bucket == "mine"


def test_the_aws_profile_asks_for_a_bucket() -> None:
    with pytest.raises(SettingsError, match=r"storage\.bucket: Field required"):
        load("aws")


def test_k_above_takes_the_place_of_variance_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUITS_PCA__K", "10")
    pca = load("test", ["pca.variance=0.9"]).pca
    assert (pca.k, pca.variance) == (None, 0.9)


def test_a_section_that_is_no_section_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUITS_STREAM", "x")
    with pytest.raises(SettingsError, match="stream"):
        load("test")


def test_a_profile_may_be_a_file_of_ones_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[storage]\nbucket = "orchard"\n[pca]\nk = 3\n')
    assert (load(str(mine)).storage.bucket, load(str(mine)).pca.k) == ("orchard", 3)


def test_the_environment_may_name_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUITS_PROFILE", "test")
    assert load().storage.bucket == "fruits-test"


def test_a_wrong_value_names_every_place_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUITS_STREAM__MAX_FILES", "-3")
    with pytest.raises(SettingsError) as error:
        load("test")
    message = str(error.value)
    assert "stream.max_files" in message
    assert "greater than or equal to 1" in message
    assert "command line (--set stream.max_files=…): not set" in message
    assert "environment (FRUITS_STREAM__MAX_FILES): '-3'" in message
    assert "profile test.toml: 50" in message


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("stream.maxfiles=3", "perhaps stream.max_files is meant"),
        ("strem.max_files=3", "no such setting"),
        ("max_files=3", "Write section.name=value"),
        ("stream.max_files", "Write section.name=value"),
        ("storage.bucket=No Bucket", "storage.bucket"),
        ("storage.prefix=no-slash", "storage.prefix"),
        ("pca.variance=1.5", "pca.variance"),
        ("stream.trigger_seconds=60", "stream.trigger_seconds"),
    ],
)
def test_a_nonsense_override_is_refused_with_a_way_out(override: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says.replace("?", r"\?")):
        load("test", [override])


def test_k_and_variance_exclude_each_other() -> None:
    with pytest.raises(SettingsError, match="exclude each other"):
        load("test", ["pca.k=3", "pca.variance=0.9"])


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"no profile 'prod'.*aws, local, test"):
        load("prod")


def test_a_broken_profile_says_where(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[storage\n")
    with pytest.raises(SettingsError, match=r"broken\.toml is not TOML.*line 1"):
        load(str(broken))


def test_a_misspelt_variable_does_not_pass_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUITS_STREM__MAX_FILES", "3")
    with pytest.raises(SettingsError, match="FRUITS_STREM__MAX_FILES is no setting"):
        load("test")


def test_spark_options_keep_their_dots() -> None:
    assert load("test", ["spark.options.spark.ui.enabled=true"]).spark.options == {"spark.ui.enabled": "true"}


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load("test").stream.max_files = 3  # type: ignore[misc]


def test_settings_survive_the_way_to_a_worker() -> None:
    settings = load("test", ["pca.k=7", "spark.options.a.b=c"])
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings


def test_no_setting_is_a_credential() -> None:
    names = [name for name, _ in flatten(load("test"))]
    assert not [name for name in names if any(word in name for word in ("secret", "password", "token", "access_key"))]


@given(st.text(min_size=1, max_size=40))
def test_any_override_gives_settings_or_one_error(override: str) -> None:
    with suppress(SettingsError):
        assert load("test", [override]).storage.bucket


def test_layers_tell_where_a_value_is_from() -> None:
    layers = find_layers("test", ["pca.k=7"])
    assert [layer.place for layer in layers if layer.holds("pca.k")] == ["command line"]
    assert [layer.place for layer in layers if layer.holds("storage.bucket")] == ["profile test.toml"]
