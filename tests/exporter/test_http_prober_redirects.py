import base64

import pytest

from exporter.probe import Probers
from exporter.reason import Reason
from exporter.result import Result
from tests.exporter.loopback import always, answer, by_path, http_module, probed, run, serving


def to(place: str, status: int = 302, *headers: str) -> bytes:
    return answer(f"{status} Moved", b"", f"Location: {place}", *headers)


def probe_paths(
    replies: dict[str, bytes], seen: list[bytes], userinfo: str = "", **options: object
) -> Result:
    async def test() -> Result:
        async with serving(by_path(replies, seen)) as port:
            return await probed(f"http://{userinfo}127.0.0.1:{port}/", http_module(**options))

    return run(test())


def test_redirects_are_followed_and_their_times_summed():
    seen: list[bytes] = []
    result = probe_paths({"/": to("/a"), "/a": to("b", 301), "/b": answer()}, seen)
    assert result.success
    assert result.http is not None
    assert result.http.redirects == 2
    assert [head.split()[1] for head in seen] == [b"/", b"/a", b"/b"]
    assert result.phases.connect > 0
    assert result.phases.processing > 0


def test_a_redirect_that_is_not_followed_is_judged_by_its_status():
    result = probe_paths({"/": to("/a")}, [], follow_redirects=False)
    assert result.reason is Reason.STATUS
    assert result.status_code == 302
    assert probe_paths({"/": to("/a")}, [], no_follow_redirects=True, valid_status_codes=[302]).success


def test_a_loop_ends_after_ten_redirects():
    seen: list[bytes] = []
    result = probe_paths({"/": to("/")}, seen)
    assert result.reason is Reason.STATUS
    assert result.detail == "redirected more than 10 times"
    assert len(seen) == 11
    assert result.http is not None
    assert result.http.redirects == 11


def test_a_redirect_to_what_is_not_http_fails():
    result = probe_paths({"/": to("ftp://user:hunter2@127.0.0.1/x?token=s3cret")}, [])
    assert result.reason is Reason.STATUS
    assert "leads nowhere" in result.detail
    assert "hunter2" not in result.detail
    assert "s3cret" not in result.detail


def test_cookies_are_kept_within_a_probe_and_forgotten_after_it():
    seen: list[bytes] = []
    probe_again = {"/": to("/a", 302, "Set-Cookie: id=42"), "/a": answer()}

    async def test() -> None:
        async with serving(by_path(probe_again, seen)) as port, Probers.start() as probers:
            for _ in range(2):
                await probers.probe(f"http://127.0.0.1:{port}/", http_module(), 5)

    run(test())
    assert b"Cookie" not in seen[0]
    assert b"Cookie: id=42" in seen[1]
    assert b"Cookie" not in seen[2]
    assert b"Cookie: id=42" in seen[3]


@pytest.mark.parametrize(("status", "method"), [(301, b"GET"), (303, b"GET"), (307, b"POST"), (308, b"POST")])
def test_post_becomes_get_as_in_browsers(status: int, method: bytes):
    seen: list[bytes] = []
    assert probe_paths({"/": to("/a", status), "/a": answer()}, seen, method="POST", body="a=1").success
    assert seen[1].split()[0] == method
    assert (b"Content-Length: 3" in seen[1]) is (method == b"POST")


def authorization(head: bytes) -> str:
    for line in head.decode().split("\r\n"):
        if line.startswith("Authorization: "):
            return line.removeprefix("Authorization: ")
    return ""


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("userinfo", "options", "sent"),
    [
        ("me:p%40ss@", {}, basic("me:p@ss")),
        ("", {"basic_auth": {"username": "me", "password": "secret"}}, basic("me:secret")),
        ("you:own@", {"basic_auth": {"username": "me", "password": "secret"}}, basic("you:own")),
        ("", {"bearer_token": "abc"}, "Bearer abc"),
        ("", {"authorization": {"type": "Token", "credentials": "abc"}}, "Token abc"),
        ("you:own@", {"headers": {"Authorization": "Mine x"}}, "Mine x"),
    ],
)
def test_credentials_stay_with_the_targets_own_origin(userinfo: str, options: dict[str, object], sent: str):
    home: list[bytes] = []
    elsewhere: list[bytes] = []

    async def test() -> Result:
        async with serving(always(answer(), elsewhere)) as other:
            replies = {"/": to("/a"), "/a": to(f"http://127.0.0.1:{other}/")}
            async with serving(by_path(replies, home)) as port:
                return await probed(f"http://{userinfo}127.0.0.1:{port}/", http_module(**options))

    assert run(test()).success
    assert [authorization(head) for head in home] == [sent, sent]
    assert authorization(elsewhere[0]) == ""


def test_a_redirect_cannot_make_the_probe_send_credentials():
    seen: list[bytes] = []

    async def test() -> Result:
        async with (
            serving(always(answer(), seen)) as other,
            serving(always(to(f"http://you:there@127.0.0.1:{other}/"))) as port,
        ):
            return await probed(f"http://me:here@127.0.0.1:{port}/")

    assert run(test()).success
    assert authorization(seen[0]) == ""


def test_a_password_file_is_read_and_its_loss_is_no_fault_of_the_site(tmp_path):
    file = tmp_path / "password"
    file.write_text("secret\n")
    seen: list[bytes] = []
    auth = {"username": "me", "password_file": str(file)}
    assert probe_paths({"/": answer()}, seen, basic_auth=auth).success
    assert authorization(seen[0]) == basic("me:secret")
    file.unlink()
    result = probe_paths({"/": answer()}, seen, basic_auth=auth)
    assert result.reason is Reason.ERROR
    assert str(file) in result.detail
