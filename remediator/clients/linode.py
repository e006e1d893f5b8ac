"""The few calls of the Linode API that are used, thin on linode_api4.

linode_api4 repeats a POST up to six times and waits without limit: here retries are off and every call has a
connect and a read timeout. Its objects refresh only after 15 s, so its plain calls are used, which ask anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests
from linode_api4 import LinodeClient as Api4Client
from linode_api4.errors import ApiError
from requests.adapters import HTTPAdapter

from core.secrets import Secret
from core.servers.server import ActionError, Reason
from remediator.model.action import LinodeEvent, LinodeInstance

DEFAULT_URL = "https://api.linode.com/v4"
TIMEOUTS = (5.0, 10.0)
"""Seconds to connect, and between two pieces of an answer."""
REACHABLE_SECONDS = 3.0
BUSY_SECONDS = 15.0
_SMALLEST_PAGE = 25
_LARGEST_PAGE = 500

_NONSENSE = (ValueError, RuntimeError, AttributeError, TypeError, KeyError)
"""What linode_api4 lets through when an answer is not of the shape that it expects."""

T = TypeVar("T")


class LinodeAPI:
    """One token's view of one account; safe to be used by several threads."""

    def __init__(
        self, token: Secret, base_url: str = DEFAULT_URL, timeouts: tuple[float, float] = TIMEOUTS
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._client = Api4Client(token.reveal(), self._base_url, user_agent="sitemedic", retry=False)
        self._client.session.max_redirects = 0  # a redirected POST would come back as a GET
        self._limited = _Limited(timeouts)
        for scheme in ("http://", "https://"):
            self._client.session.mount(scheme, self._limited)
        self._username: str | None = None

    def instance(self, linode_id: int) -> LinodeInstance:
        """Return the Linode as it is now."""
        raw = self._ask(lambda: self._client.get(f"/linode/instances/{linode_id:d}"), linode_id)
        return _read(lambda: _instance(raw))

    def events(self, linode_id: int, above: int = 0, limit: int = 100) -> tuple[LinodeEvent, ...]:
        """Return the Linode's events with an id above the mark, newest first."""
        wanted = {
            "entity.id": linode_id,
            "entity.type": "linode",
            "id": {"+gt": above},
            "+order_by": "id",
            "+order": "desc",
        }
        size = min(max(limit, _SMALLEST_PAGE), _LARGEST_PAGE)
        raw = self._ask(
            lambda: self._client.get(f"/account/events?page_size={size}", filters=wanted), linode_id
        )
        found = _read(lambda: [_event(one) for one in raw["data"] if _concerns(one, linode_id)])
        newest_first = sorted((one for one in found if one.id > above), key=lambda one: -one.id)
        return tuple(newest_first[:limit])

    def highest_event_id(self, linode_id: int) -> int:
        """Return the id of the Linode's newest event, 0 where it has none."""
        return max((event.id for event in self.events(linode_id, limit=_SMALLEST_PAGE)), default=0)

    def reboot(self, linode_id: int) -> None:
        """Ask for a reboot with exactly one POST; an answer only says that it was accepted.

        Raises ActionError: `unknown` after a timeout, a reset, 408 or 5xx, when it may have been accepted.
        """
        self._post_once(linode_id, "reboot")

    def boot(self, linode_id: int) -> None:
        """Ask for a boot in the same way."""
        self._post_once(linode_id, "boot")

    def _post_once(self, linode_id: int, job: str) -> None:
        try:
            self._client.post(f"/linode/instances/{linode_id:d}/{job}", data={})
        except ApiError as error:
            if error.status == requests.codes.request_timeout or error.status >= 500:
                raise _outcome_unknown(linode_id, job, f"answered {error.status}") from error
            raise _refusal(error, linode_id) from error
        except requests.exceptions.ConnectTimeout as error:
            raise _no_answer(error) from error
        except requests.RequestException as error:
            if _never_connected(error):
                raise _no_answer(error) from error
            raise _outcome_unknown(linode_id, job, "did not answer to the end") from error
        except _NONSENSE as error:
            raise _outcome_unknown(linode_id, job, "answered something that is not its own") from error

    def username(self) -> str | None:
        """Return the name of the token's user, None where the token may not ask (needs account access)."""
        if self._username is None:
            try:
                raw = self._ask(lambda: self._client.get("/profile"), 0)
                self._username = str(_read(lambda: raw["username"]))
            except ActionError:
                return None
        return self._username

    def scopes(self) -> frozenset[str] | None:
        """Return what the API said in its last answer that the token may do; None where it did not say."""
        return self._limited.scopes

    def reachable(self) -> bool:
        """Tell whether the API answers at all, with whatever; the token is not shown to it."""
        try:
            requests.head(self._base_url, timeout=REACHABLE_SECONDS, allow_redirects=False)
        except requests.RequestException:
            return False
        return True

    def _ask(self, call: Callable[[], Any], linode_id: int) -> Any:
        """Run a call that changes nothing, and turn whatever goes wrong into ActionError."""
        try:
            return call()
        except ApiError as error:
            raise _refusal(error, linode_id) from error
        except (requests.RequestException, OSError) as error:
            raise _no_answer(error) from error
        except _NONSENSE as error:
            raise _nonsense() from error


class _Limited(HTTPAdapter):
    """Gives every request its timeouts and no second try, and keeps what answers say of the token."""

    def __init__(self, timeouts: tuple[float, float]) -> None:
        self._timeouts = timeouts
        self.scopes: frozenset[str] | None = None
        super().__init__(max_retries=0)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """Send with the timeouts, whatever the caller said."""
        kwargs["timeout"] = self._timeouts
        answer = super().send(request, **kwargs)
        if told := answer.headers.get("X-OAuth-Scopes"):
            self.scopes = frozenset(told.replace(",", " ").split())
        return answer


def _instance(raw: Mapping[str, Any]) -> LinodeInstance:
    ipv6 = str(raw.get("ipv6") or "").partition("/")[0]
    addresses = [str(address) for address in raw.get("ipv4") or ()] + ([ipv6] if ipv6 else [])
    return LinodeInstance(int(raw["id"]), str(raw.get("label", "")), str(raw["status"]), tuple(addresses))


def _concerns(raw: Mapping[str, Any], linode_id: int) -> bool:
    entity = raw.get("entity") or {}
    return entity.get("type") == "linode" and entity.get("id") == linode_id


def _event(raw: Mapping[str, Any]) -> LinodeEvent:
    username = raw.get("username")
    return LinodeEvent(
        id=int(raw["id"]),
        action=str(raw["action"]),
        status=str(raw["status"]),
        username=None if username is None else str(username),
        created=str(raw.get("created", "")),
        message=str(raw.get("message") or "")[:300],
    )


def _read(reading: Callable[[], T]) -> T:
    try:
        return reading()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _nonsense() from error


def _refusal(error: ApiError, linode_id: int) -> ActionError:
    """Map an answer of 400 and above (facts: the API's error codes) to what to do about it."""
    status, reasons = error.status, "; ".join(str(reason) for reason in error.errors)[:300]
    if status == requests.codes.unauthorized:
        text = "the Linode API does not accept the token: make a new one and set LINODE_TOKEN"
        return ActionError(text, reason=Reason.LINODE_AUTH, permanent=True)
    if status == requests.codes.forbidden:
        text = "the Linode token may not do this: it needs the scopes linodes:read_write and events:read_only"
        return ActionError(text, reason=Reason.LINODE_AUTH, permanent=True)
    if status == requests.codes.not_found:
        text = f"the Linode API knows no Linode {linode_id} for this token: correct linode: in sites.yml"
        return ActionError(text, reason=Reason.LINODE_NOT_FOUND, permanent=True)
    if status == requests.codes.too_many_requests:
        text, after = "the Linode API asks us to wait (429)", _retry_after(error)
        return ActionError(text, reason=Reason.LINODE_ERROR, retry_after=after)
    if status == requests.codes.bad_request and "busy" in reasons.lower():
        text = f"Linode {linode_id} is busy with something else"
        return ActionError(text, reason=Reason.LINODE_BUSY, retry_after=BUSY_SECONDS)
    if status >= 500:
        kept = error.response is not None and "X-Maintenance-Mode" in error.response.headers
        text = f"the Linode API {'is under maintenance' if kept else 'has trouble'} ({status})"
        return ActionError(text, reason=Reason.LINODE_ERROR, retry_after=_retry_after(error))
    text = f"the Linode API answered {status}: {reasons or 'not in its own words; asked again later'}"
    permanent = bool(reasons)  # an HTML page comes from a proxy before the API, and passes
    return ActionError(text, reason=Reason.LINODE_ERROR, permanent=permanent, retry_after=BUSY_SECONDS)


def _retry_after(error: ApiError) -> float:
    """Read Retry-After, which may be missing, negative or nonsense, as 1 to 300 seconds."""
    value = error.response.headers.get("Retry-After", "") if error.response is not None else ""
    try:
        seconds = float(value)
    except ValueError:
        return BUSY_SECONDS
    return min(max(seconds, 1.0), 300.0)


def _never_connected(error: requests.RequestException) -> bool:
    """Tell whether no connection came about, so that nothing can have been accepted."""
    seen: BaseException | None = error.args[0] if error.args else None
    names = {type(seen).__name__, type(getattr(seen, "reason", None)).__name__}
    connecting = {"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"}
    return bool(names & connecting) or "CERTIFICATE_VERIFY_FAILED" in str(error)


def _no_answer(error: Exception) -> ActionError:
    text = "in time" if isinstance(error, requests.Timeout) else "at all"
    return ActionError(f"the Linode API does not answer {text}", reason=Reason.LINODE_ERROR)


def _outcome_unknown(linode_id: int, job: str, what: str) -> ActionError:
    text = f"the Linode API {what} when asked to {job} {linode_id}: its events will tell"
    return ActionError(text, reason=Reason.UNKNOWN)


def _nonsense() -> ActionError:
    text = "the Linode API answered something that is not its own: look at LINODE_API_URL"
    return ActionError(text, reason=Reason.LINODE_ERROR)
