"""A database that is full, locked, gone, stopped or silent: 503 at once, nothing half done, on it goes."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import StoreError
from remediator.service import Remediator
from remediator.store.database import Store
from tests.cable import cable
from tests.postgres_server import PASSWORD, PostgresServer, needs_postgres, postgres_server
from tests.remediator import databases
from tests.remediator.doubles import API, WEBHOOK, Lab, lab
from tests.waiting import until

PATIENCE = 60.0
AT_ONCE = 3.0
"""Seconds: 0.8 by itself, more where others load the machine; the databases' own waits are 5 and 10."""


@contextmanager
def on(url: str) -> Iterator[None]:
    databases.use(lambda _folder: url)
    try:
        yield
    finally:
        databases.leave()


@contextmanager
def healed_after(at_work: Lab, broken: Callable[[], None], whole: Callable[[], None]) -> Iterator[None]:
    """Break the database under a remediator at work, mend it, and see an outage healed by one restart."""
    at_work.post("blog")
    broken()
    try:
        assert quickest(lambda: big(at_work)) < AT_ONCE
        yield
    finally:
        whole()
    assert at_work.ledger.lines() == []
    at_work.exporter.failing["www"] = "status"
    until(lambda: at_work.post("www").status_code == 200, PATIENCE, "a notification taken", every=0.3)
    at_work.wait("www", "recovered", PATIENCE)
    assert len(at_work.ledger.lines()) == 1
    assert len(at_work.incidents("www")) == 1


def quickest(ask: Callable[[], Any], times: int = 5) -> float:
    """Ask some times, each answered with 503, and return the shortest wait: others load the machine too."""
    took = []
    for _ in range(times):
        began = time.monotonic()
        assert ask().status_code == 503
        took.append(time.monotonic() - began)
    return min(took)


def test_a_file_that_has_gone_takes_nothing_until_it_is_back(tmp_path: Path) -> None:
    data, away = tmp_path / "data", tmp_path / "away"
    data.mkdir()

    def lose() -> None:
        data.rename(away)

    def find() -> None:
        away.rename(data)

    with (
        on(f"sqlite:///{data}/remediator.db"),
        lab(tmp_path) as at_work,
        healed_after(at_work, lose, find),
    ):
        assert not data.exists(), "an empty one was made in its stead"
        assert at_work.client.get("/-/ready").status_code == 503


def test_a_file_that_another_process_holds_is_waited_for(tmp_path: Path) -> None:
    with lab(tmp_path) as at_work:
        other = sqlite3.connect(tmp_path / "remediator.db", isolation_level=None)

        def hold() -> None:
            until(lambda: other.execute("BEGIN IMMEDIATE"), PATIENCE, "the lock")

        with healed_after(at_work, hold, lambda: other.execute("ROLLBACK") and None):
            pass
        other.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_full_disk_takes_nothing_and_loses_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("no disk can be mounted here")
    filler = disk / "filler"
    databases.use(lambda _folder: f"sqlite:///{disk}/remediator.db")
    try:
        with lab(tmp_path) as at_work:

            def fill() -> None:
                with filler.open("wb", buffering=0) as file:
                    try:
                        while True:
                            file.write(b"x" * 4096)
                    except OSError:
                        pass
                until(lambda: big(at_work).status_code == 503, PATIENCE, "it full")

            with healed_after(at_work, fill, filler.unlink):
                assert at_work.client.get("/api/v1/incidents", headers=API).status_code == 200
    finally:
        databases.leave()
        subprocess.run(["umount", "-l", str(disk)], check=True)


@contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[Path]:
    """Mount something there, or skip the test."""
    folder.mkdir()
    try:
        done = subprocess.run(["mount", *arguments, str(folder)], check=False, capture_output=True)
        if os.geteuid() != 0 or done.returncode != 0:
            pytest.skip("no disk can be mounted here")
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def test_a_disk_without_an_inode_left_holds_up_a_start_only_and_says_so(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "nr_inodes=5,size=20m", "tmpfs") as disk:
        store = Store(f"sqlite:///{disk}/remediator.db")
        store.prepare()
        (disk / "last").touch()
        with pytest.raises(OSError, match="No space"):
            (disk / "one-too-many").touch()
        store.check_writable()
        store.close()
        for number in range(2):
            (disk / str(number)).touch()
        with pytest.raises(StoreError, match="df -i"):
            store.prepare()
        (disk / "last").unlink()
        (disk / "0").unlink()
        store.prepare()
        store.check_writable()
        store.close()


@pytest.mark.full
def test_a_disk_that_became_read_only_takes_nothing_until_it_is_mounted_anew(tmp_path: Path) -> None:
    """As ext4 does by itself when its disk fails: who had it open has a use for it no more."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    make = ["mkfs.ext4", "-q", "-F", str(image)]
    if shutil.which(make[0]) is None or subprocess.run(make, check=False).returncode != 0:
        pytest.skip("no file system can be made here")
    with mounted(tmp_path / "disk", "-o", "loop,errors=remount-ro", str(image)) as disk:
        found = subprocess.run(
            ["findmnt", "-no", "SOURCE", str(disk)], capture_output=True, text=True, check=True
        )
        trigger = Path("/sys/fs/ext4") / Path(found.stdout.strip()).name / "trigger_fs_error"
        if not os.access(trigger, os.W_OK):
            pytest.skip("no disk can be made to fail here")

        def mount_anew() -> None:
            subprocess.run(["umount", "-l", str(disk)], check=True)
            until(lambda: free_of(image), PATIENCE, "nobody to use the disk that failed")
            subprocess.run(["e2fsck", "-fy", str(image)], check=False, capture_output=True)
            subprocess.run(["mount", "-o", "loop", str(image), str(disk)], check=True)

        with (
            on(f"sqlite:///{disk}/remediator.db"),
            lab(tmp_path) as at_work,
            healed_after(at_work, lambda: trigger.write_text("x") and None, mount_anew),
        ):
            told = at_work.client.get("/-/ready")
            assert told.status_code == 503
            assert "is its disk mounted read-only?" in told.text


def free_of(image: Path) -> bool:
    """Tell whether no loop device has the image any more: the last one to use its files has let go."""
    found = subprocess.run(["losetup", "-j", str(image)], capture_output=True, text=True, check=True)
    return not found.stdout


def big(at_work: Lab) -> Any:
    """Post a notification that a nearly full disk has no room for."""
    labels = {"alertname": "SiteDown", "site": "www"}
    alert = {"status": "firing", "labels": labels, "annotations": {"summary": "x" * 16_000}}
    body = {"version": "4", "groupKey": "k", "status": "firing", "receiver": "r", "alerts": [alert] * 20}
    return at_work.client.post("/webhook/alertmanager", json=body, headers=WEBHOOK)


def test_a_file_that_may_not_grow_is_a_full_disk_too(tmp_path: Path) -> None:
    """RLIMIT_FSIZE concerns a whole process, so it is one of its own."""
    script = (
        "import resource, sys; from pathlib import Path; from remediator.errors import StoreError\n"
        "from remediator.store.database import Store, add_notification\n"
        "store = Store(sys.argv[1]); store.prepare()\n"
        "def put(text):\n"
        "    with store.write() as connection:\n"
        "        add_notification(connection, received_at=1, group_key='k', receiver='r', status='firing',\n"
        "                         alerts=1, truncated=0, unknown_sites=0, body=text)\n"
        "put('before')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))\n"
        "try: put('x' * 1_000_000)\n"
        "except StoreError as error: print('refused')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "put('after')\n"
        "with store.read() as connection:\n"
        "    print(connection.exec_driver_sql('SELECT body FROM notifications').scalars().all())\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    command = [sys.executable, "-c", script, f"sqlite:///{tmp_path}/r.db"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.stdout.splitlines() == ["refused", "['before', 'after']"], done.stderr


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@needs_postgres
def test_postgresql_stopped_hung_and_started_again(tmp_path: Path, own_postgres: PostgresServer) -> None:
    with on(own_postgres.url()), lab(tmp_path) as at_work:
        with healed_after(at_work, own_postgres.hang, own_postgres.go_on):
            assert at_work.client.get("/-/ready").status_code == 503
        at_work.ledger.path.unlink()
        own_postgres.stop()
        assert quickest(lambda: at_work.post("shop")) < AT_ONCE
        own_postgres.start()
        at_work.exporter.failing["shop"] = "status"
        until(lambda: at_work.post("shop").status_code == 200, PATIENCE, "a notification taken", every=0.3)
        at_work.wait("shop", "recovered", PATIENCE)
        assert at_work.ledger.lines() == ["restart_container shop db shop"]


@needs_postgres
@pytest.mark.full
def test_a_cut_cable_to_postgresql(tmp_path: Path, postgres: PostgresServer) -> None:
    with cable(postgres.port) as laid:
        url = postgres.url().replace(f":{postgres.port}/", f":{laid.port}/")
        with on(url), lab(tmp_path) as at_work, healed_after(at_work, laid.cut, laid.mend):
            pass


@needs_postgres
def test_who_hangs_in_a_transaction_holds_the_others_up_for_seconds_only(postgres: PostgresServer) -> None:
    url = postgres.url()
    hanging, other = Store(url), Store(url)
    hanging.prepare()
    with pytest.raises(StoreError, match="idle"), hanging.write():  # noqa: PT012
        with pytest.raises(StoreError, match="lock"):
            other.check_writable()
        until(lambda: free(other), PATIENCE, "the lock taken from it", every=0.3)
    hanging.check_writable()
    for store in (hanging, other):
        store.close()


def free(store: Store) -> bool:
    try:
        store.check_writable()
    except StoreError:
        return False
    return True


@pytest.mark.full
@needs_postgres
def test_no_password_of_the_database_is_told(tmp_path: Path, postgres: PostgresServer) -> None:
    wrong = postgres.url(password="another-planted-password")
    (tmp_path / "sites.yml").write_text('sites: [{name: a, url: "http://127.0.0.1:1/"}]\n')
    command = [sys.executable, "-m", "stack", "remediator", f"--config.file={tmp_path}/sites.yml"]
    urls = (wrong, wrong.replace(f":{postgres.port}/", ":1/"), wrong.replace("postgresql:", "mysql:"))
    for number, url in enumerate(urls):
        env = {**os.environ, "STORAGE_URL": url, "WEBHOOK_TOKEN": "t" * 20, "API_TOKEN": "t" * 20}
        log = tmp_path / f"log{number}"
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, env=env)
        try:
            said = until(lambda log=log: words(log), PATIENCE, "a word")  # type: ignore[misc]
        finally:
            process.kill()
            process.wait(10)
        assert "planted" not in said + log.read_text()
        assert PASSWORD not in said + log.read_text()


def words(log: Path) -> str:
    said = log.read_text()
    return said if "database" in said or "storage" in said else ""


def test_a_remediator_shows_no_url_of_its_database(tmp_path: Path) -> None:
    with lab(tmp_path, start=False) as idle:
        remediator: Remediator = idle.remediator
        assert "sqlite" not in repr(remediator.settings)
