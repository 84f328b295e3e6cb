"""Settings: three sources, one precedence, nothing ignored."""

from pathlib import Path

import pytest

from web.settings import SettingsError, load


def test_what_is_given_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "footnote.toml"
    file.write_text('port = 1\nhost = "a"\nchunk_tokens = 100\n')

    settings = load({"FOOTNOTE_PORT": "2", "FOOTNOTE_HOST": "b"}, file, port=3)

    assert (settings.port, settings.host, settings.chunk_tokens) == (3, "b", 100)


def test_an_unknown_variable_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="FOOTNOTE_MODLE"):
        load({"FOOTNOTE_MODLE": "x"})


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "footnote.toml").write_text("modle = 'x'\n")

    with pytest.raises(SettingsError, match="modle"):
        load({}, tmp_path / "footnote.toml")


@pytest.mark.parametrize("value", ["eighty", "70000", "-1"])
def test_a_value_that_cannot_be_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="port"):
        load({"FOOTNOTE_PORT": value})


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "footnote.toml").write_text("port: 8000")

    with pytest.raises(SettingsError, match="cannot be read"):
        load({}, tmp_path / "footnote.toml")


def test_a_tilde_is_the_users_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")

    settings = load({"FOOTNOTE_HOME": "~/mine", "FOOTNOTE_FOLDERS": "~/handbooks, /srv/minutes"})

    assert settings.home == Path("/home/anna/mine")
    assert settings.folders == [Path("/home/anna/handbooks"), Path("/srv/minutes")]


def test_other_variables_of_the_environment_do_not_matter() -> None:
    assert load({"PORT": "1", "FOOTNOTE_PYTHON": "python3"}).port == 8000
