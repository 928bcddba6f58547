"""Where the store is: what is asked for, else what the environment names, else the user's folder."""

from pathlib import Path

import platformdirs
import pytest

from narformer.errors import BadFile
from narformer.store import open_store


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch, tmp_path):
    monkeypatch.delenv("NARFORMER_STORE", raising=False)
    monkeypatch.setattr(platformdirs, "user_data_path", lambda name: tmp_path / "home" / name)


def place(*arguments, **more):
    with open_store(*arguments, **more) as store:
        return store.place


def test_by_default_it_is_in_the_user_s_folder(tmp_path):
    assert place(new=False) == place() == f"sqlite:///{tmp_path}/home/narformer/measurements.sqlite"


def test_the_environment_names_another_and_an_argument_yet_another(tmp_path, monkeypatch):
    monkeypatch.setenv("NARFORMER_STORE", str(tmp_path / "named"))
    assert place(new=False) == f"sqlite:///{tmp_path}/named"
    assert place(str(tmp_path / "given")) == place(f"sqlite:///{tmp_path}/given") == f"sqlite:///{tmp_path}/given"
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["a b", "100%", "what?x=1", "a#b", "a:b@c", "ü"])
def test_a_path_is_taken_as_it_is(tmp_path, name):
    open_store(str(tmp_path / name)).close()
    assert (tmp_path / name).is_file()


def test_a_home_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    open_store("~/mine.sqlite").close()
    assert (tmp_path / "mine.sqlite").is_file()


def test_what_should_be_there_is_not_made(tmp_path):
    with pytest.raises(BadFile, match="no such file"):
        open_store(str(tmp_path / "none"), new=False)
    assert not (tmp_path / "none").exists()
    with pytest.raises(BadFile, match="a folder"):
        open_store(str(tmp_path))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@host:port/db",
        "postgresql:/me:secret@host/db",
        "postgresql:me:secret@host/db",
        "postgres+psycopg://me:secret@host/db",
        "mysql://me:secret@host/db?password=secret",
        "sqlite:me:secret@x",
    ],
)
def test_a_wrong_address_never_shows_its_password(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadFile) as error:
        open_store(url)
    assert "secret" not in str(error.value)
    assert not list(Path().iterdir())


def test_a_database_that_fails_later_is_named(tmp_path):
    with open_store(str(tmp_path / "store")) as store:
        store._engine.dispose()  # the next transaction opens the file anew
        (tmp_path / "store").write_bytes(b"")
        with pytest.raises(BadFile, match="no such table"):
            store.find()
