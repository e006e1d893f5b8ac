import base64
import threading

import bcrypt
import pytest

from core.secrets import Secret
from core.web.users import MOST_REMEMBERED, Users


def header(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def hashed(password: str) -> Secret:
    return Secret(bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode())


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Note which hashes bcrypt is asked about."""
    made: list[bytes] = []
    real = bcrypt.checkpw

    def noted(password: bytes, against: bytes) -> bool:
        made.append(against)
        return real(password, against)

    monkeypatch.setattr(bcrypt, "checkpw", noted)
    return made


def test_an_answer_is_asked_of_bcrypt_once(checks: list[bytes]) -> None:
    users = Users({"ann": hashed("right")})
    assert users.remembered(header("ann", "right")) is None
    assert [users.check(header("ann", "right")) for _ in range(3)] == [True] * 3
    assert [users.check(header("ann", "wrong")) for _ in range(3)] == [False] * 3
    assert len(checks) == 2
    assert users.remembered(header("ann", "right")) is True
    assert users.remembered(header("ann", "wrong")) is False


def test_a_name_that_does_not_exist_costs_the_same(checks: list[bytes]) -> None:
    users = Users({"ann": Secret("$2b$06$" + "a" * 53)})
    assert users.check(header("nobody", "x")) is False
    assert checks[0].startswith(b"$2b$06$")


def test_a_new_hash_is_asked_about_anew_and_an_old_one_is_not(checks: list[bytes]) -> None:
    kept = hashed("b")
    before = Users({"ann": hashed("old"), "bob": kept})
    assert before.check(header("ann", "old"))
    assert before.check(header("bob", "b"))
    after = Users({"ann": hashed("new"), "bob": kept}, before)
    assert after.remembered(header("bob", "b")) is True
    assert after.check(header("ann", "old")) is False
    assert after.check(header("ann", "new")) is True
    gone = Users({"bob": kept}, after)
    assert gone.check(header("ann", "new")) is False


def test_wrong_passwords_push_no_right_one_out() -> None:
    users = Users({"ann": hashed("right")})
    assert users.check(header("ann", "right"))
    for number in range(MOST_REMEMBERED + 20):
        assert not users.check(header("ann", f"wrong {number}"))
    assert users.remembered(header("ann", "right")) is True
    assert users.remembered(header("ann", "wrong 0")) is None


def test_who_asks_at_the_same_time_waits_for_one_check(checks: list[bytes]) -> None:
    users = Users({"ann": hashed("right")})
    found: list[bool] = []
    asking = [
        threading.Thread(target=lambda: found.append(users.check(header("ann", "right")))) for _ in range(8)
    ]
    for one in asking:
        one.start()
    for one in asking:
        one.join(10)
    assert found == [True] * 8
    assert len(checks) == 1


def test_what_is_remembered_holds_no_password() -> None:
    users = Users({"ann": hashed("right")})
    users.check(header("ann", "right"))
    assert b"right" not in repr(vars(users)).encode() + repr(vars(users._memory)).encode()


@pytest.mark.parametrize("given", [None, "", "Basic", "Basic !!!", "Basic YQ==", "Bearer x", "Basic \udcff"])
def test_what_is_no_basic_authentication_lets_nobody_in(given: str | None) -> None:
    users = Users({"ann": hashed("right")})
    assert users.remembered(given) is False
    assert users.check(given) is False


def test_a_hash_that_bcrypt_cannot_read_lets_nobody_in() -> None:
    assert Users({"ann": Secret("$2b$04$" + "z" * 53)}).check(header("ann", "x")) is False
