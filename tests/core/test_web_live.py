"""A web-config.yml is taken up while it is used, whole or not at all."""

import logging
import ssl
from pathlib import Path

import pytest
import trustme
import yaml

from core.allowance import Allowance
from core.faults import ConfigError
from core.web.live import LiveWebConfig
from tests.exporter.test_web_security import TLS, certify, hashed


def written(folder: Path, **content: object) -> Path:
    path = folder / "web.yml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_without_a_file_nothing_is_asked_for() -> None:
    live = LiveWebConfig()
    assert not live
    assert (live.tls, bool(live.rules.users), live.rules.knows(None)) == (None, False, True)
    assert all(live.rules.allowance.takes(1.0) for _ in range(1000))


def test_an_allowance_is_a_burst_and_then_one_each_interval() -> None:
    allowance = Allowance(2, 10.0)
    assert [allowance.takes(now) for now in (100, 100, 100, 109.9, 110, 111)] == [
        True, True, False, False, True, False,
    ]  # fmt: skip


def test_a_faulty_file_keeps_the_old_one_whole_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certify(trustme.CA(), tmp_path)
    path = written(tmp_path, tls_server_config=TLS, basic_auth_users={"ann": hashed("old")})
    live = LiveWebConfig(path)
    assert live.tls is not None
    rules, context = live.rules, live.tls.current
    certify(trustme.CA(), tmp_path)
    written(tmp_path, tls_server_config=TLS, basic_auth_users={"ann": "planted"})
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            live.look()
    assert (live.rules, live.tls.current, live.successful) == (rules, context, False)
    assert caplog.text.count("the old one holds") == 1
    assert "planted" not in str([vars(one) for one in caplog.records])
    written(tmp_path, tls_server_config=TLS, basic_auth_users={"ann": hashed("new")})
    live.look()
    assert (live.rules is rules, live.tls.current is context, live.successful) == (False, False, True)


def test_a_spent_allowance_stays_spent_where_the_limit_stays(tmp_path: Path) -> None:
    limit = {"interval": "1h", "burst": 1}
    live = LiveWebConfig(written(tmp_path, rate_limit=limit))
    assert live.rules.allowance.takes(5.0)
    written(tmp_path, rate_limit=limit, basic_auth_users={"ann": hashed("x")})
    live.look()
    assert (bool(live.rules.users), live.rules.allowance.takes(6.0)) == (True, False)
    written(tmp_path, rate_limit=limit | {"burst": 2})
    live.look()
    assert live.rules.allowance.takes(6.0)


def test_tls_is_turned_off_by_a_restart_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    certify(trustme.CA(), tmp_path)
    live = LiveWebConfig(written(tmp_path, tls_server_config=TLS))
    assert live.tls is not None
    context: ssl.SSLContext = live.tls.current
    written(tmp_path, basic_auth_users={})
    live.look()
    assert live.tls.current is context
    assert "by a restart only" in caplog.text


def test_a_file_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"web\.yml: tls_server_config: needs key_file"):
        LiveWebConfig(written(tmp_path, tls_server_config={"cert_file": "cert.pem"}))
