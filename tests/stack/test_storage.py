"""Which database a stack works with, and who is told its password."""

from pathlib import Path

import pytest

from core.faults import ConfigError
from remediator.errors import StoreError
from remediator.store.storage import DEFAULT, once_there, storage_url
from stack.containers import DATABASE, remediator_environment
from stack.home import Home
from stack.services import services
from stack.settings import load_settings

URL = "postgresql://medic:planted@db.example/medic"


def remediator(home: Home, **environ: str) -> tuple[str, dict[str, str]]:
    found = {one.name: one for one in services(home, load_settings(environ, home.data), environ)}
    others = [one for name, one in found.items() if name != "remediator"]
    assert not [one for one in others if "STORAGE_URL" in one.env]
    return " ".join(found["remediator"].argv), dict(found["remediator"].env)


def test_without_storage_url_it_is_a_file_of_the_stack(tmp_path: Path) -> None:
    command, environ = remediator(Home(tmp_path, demo=False))
    assert f"--storage.url=sqlite:///{tmp_path}/data/remediator.db" in command
    assert "STORAGE_URL" not in environ


def test_the_url_goes_to_the_remediator_alone_and_into_no_command(tmp_path: Path) -> None:
    command, environ = remediator(Home(tmp_path, demo=False), STORAGE_URL=URL)
    assert "storage.url" not in command
    assert "planted" not in command
    assert environ["STORAGE_URL"] == URL


def test_the_demo_touches_no_database_but_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_URL", URL)
    command, environ = remediator(Home(tmp_path, demo=True), STORAGE_URL=URL)
    assert f"--storage.url=sqlite:///{tmp_path}/data/demo/remediator.db" in command
    assert "STORAGE_URL" not in environ


def test_a_container_takes_the_url_of_the_mounted_folder(tmp_path: Path) -> None:
    assert remediator_environment({}, tmp_path, tmp_path)["STORAGE_URL"] == DATABASE
    (tmp_path / ".env").write_text(f"STORAGE_URL={URL}\n")
    assert remediator_environment({}, tmp_path, tmp_path)["STORAGE_URL"] == URL
    (tmp_path / ".env").write_text("STORAGE_URL_FILE=keys/url\n")
    found = remediator_environment({}, tmp_path, tmp_path)
    assert (found["STORAGE_URL_FILE"], "STORAGE_URL" in found) == (str(tmp_path / "keys/url"), False)


def test_the_flag_goes_before_the_environment_and_holds_no_password(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(f"{URL}\n")
    assert storage_url(None, {}) == DEFAULT
    assert storage_url(None, {"STORAGE_URL_FILE": str(file)}) == URL
    assert storage_url("postgresql://db/medic", {"STORAGE_URL": URL}) == "postgresql://db/medic"
    with pytest.raises(ConfigError, match="STORAGE_URL_FILE") as told:
        storage_url(URL, {})
    assert "planted" not in str(told.value)


def test_a_postgresql_that_is_not_there_yet_is_waited_for_and_a_file_is_not() -> None:
    tries = []

    def opened() -> str:
        tries.append(1)
        if len(tries) < 2:
            raise StoreError("not there")
        return "open"

    with pytest.raises(StoreError):
        once_there(opened, "sqlite:///x")
    tries.clear()
    assert once_there(opened, URL) == "open"
