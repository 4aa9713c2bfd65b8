"""The gate in front of every page: who is it, may he, and did another site send him?

Without accounts, whoever is on this machine may do everything. A browser on it may be lent to a stranger: a page whose
name is suddenly said to be 127.0.0.1 (DNS rebinding) is of one origin with this port then, and may read and do
whatever it likes. It still asks for its own name, in Host, and is answered 421 (RFC 9110 section 15.5.20).

It stands before the application, so that a page which is added later is closed until somebody opens it.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio.to_thread
import structlog
from anyio import CapacityLimiter
from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_node.config.security import Role, is_loopback
from dicom_node.pace import Pace
from dicom_node.web.accounts import LOCAL, Accounts, Caller

log = structlog.get_logger(__name__)

OPEN = frozenset({"/healthz", "/readyz"})
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FOR_THIS_MACHINE = (
    "without accounts this port answers only to localhost and loopback addresses, and was asked for another host; "
    "name who may come in under [web.auth], or let a proxy on this machine send Host: localhost"
)
# Each check of a password takes 64 MiB.
CHECKS_AT_ONCE = 2

# URLs hold UIDs: they go to no other site, and no page is kept or framed. What is shown loads, runs and sends nothing;
# a page that needs more says what, in a policy of its own.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Somebody who signed in, or tried to."""

    name: str
    address: str
    succeeded: bool


class Gate:
    """ASGI middleware. `report` is told who signs in or fails to."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        accounts: Accounts,
        tries_per_minute: int,
        report: Callable[[Attempt], None] = lambda _: None,
    ) -> None:
        self._app = app
        self._accounts = accounts
        self._pace = Pace(tries_per_minute, 60.0)
        self._report = report
        self._limiter: CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a websocket: there are none here
        headers = Headers(scope=scope)
        send = _with_headers(send)
        if not self._accounts.configured and not _asks_for_this_machine(headers):
            await _answer(421, FOR_THIS_MACHINE)(scope, receive, send)
            return
        if scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        caller, refusal = await self._who(headers, _address(scope))
        if caller is None:
            await refusal(scope, receive, send)
            return
        needed = Role.VIEWER if scope["method"] in SAFE else Role.REVIEWER
        if not caller.role.covers(needed):
            await _answer(403, f"this needs the role {needed}")(scope, receive, send)
        elif scope["method"] not in SAFE and _from_elsewhere(headers):
            await _answer(403, "this request came from a page of another site")(scope, receive, send)
        else:
            scope.setdefault("state", {})["caller"] = caller
            await self._app(scope, receive, send)

    async def _who(self, headers: Headers, address: str) -> tuple[Caller | None, JSONResponse]:
        if not self._accounts.configured:
            return LOCAL, _answer(200, "")
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            caller = self._accounts.by_token(value.strip())
            # Counted only once it is known to be wrong: that costs nothing, and a right one is never slowed down.
            if caller is None and not self._pace.take(address):
                return None, _too_many()
            return self._judged(caller, name="token", address=address)
        pair = _basic(value) if scheme.lower() == "basic" else None
        if pair is None:
            return None, _unauthorised("sign in")
        remembered = self._accounts.remembered(*pair)
        if remembered is not None:
            return remembered, _answer(200, "")
        # Counted before it is known whether it is right: many at once may not slip through together.
        if not self._pace.take(address):
            return None, _too_many()
        self._limiter = self._limiter or CapacityLimiter(CHECKS_AT_ONCE)
        caller = await anyio.to_thread.run_sync(self._accounts.by_password, *pair, limiter=self._limiter)
        if caller is not None:
            self._pace.give_back(address)
            self._report(Attempt(name=caller.name, address=address, succeeded=True))
        return self._judged(caller, name=pair[0], address=address)

    def _judged(self, caller: Caller | None, *, name: str, address: str) -> tuple[Caller | None, JSONResponse]:
        if caller is not None:
            return caller, _answer(200, "")
        # The name as typed may be a password that went into the wrong field: it goes into the audit trail alone.
        log.warning("sign_in_failed", peer=address)
        self._report(Attempt(name=name, address=address, succeeded=False))
        return None, _unauthorised("this name, password or token is not known")


def caller_of(request: Request) -> Caller:
    """Who sent a request that came through the gate."""
    caller = request.state.caller
    assert isinstance(caller, Caller)
    return caller


def requires(role: Role) -> Callable[[Request], Caller]:
    """A FastAPI dependency for routes that need more than their method says: 403 for everybody below `role`."""

    def check(request: Request) -> Caller:
        caller = caller_of(request)
        if not caller.role.covers(role):
            raise HTTPException(403, f"this needs the role {role}")
        return caller

    return check


def _asks_for_this_machine(headers: Headers) -> bool:
    """Whether the Host of a request, with or without a port, is this machine by a name that no DNS server can lend."""
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)


def _basic(value: str) -> tuple[str, str] | None:
    """Name and password of a Basic header (RFC 7617); None when it cannot be read."""
    try:
        name, colon, password = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:  # also what is not ASCII, base64 or UTF-8
        return None
    return (name, password) if colon else None


def _from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that another site's page sent this: it adds our password by itself. Programs say nothing,
    and whoever shows a token does it on purpose.
    """
    if headers.get("authorization", "").lower().startswith("bearer "):
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _answer(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status_code=status)


def _too_many() -> JSONResponse:
    """Neither logged nor reported: whoever guesses shall not fill the log and the audit trail either."""
    detail = "too many failed attempts from this address; wait a minute"
    return JSONResponse({"detail": detail}, status_code=429, headers={"Retry-After": "60"})


def _unauthorised(detail: str) -> JSONResponse:
    challenge = {"WWW-Authenticate": 'Basic realm="region node", charset="UTF-8"'}
    return JSONResponse({"detail": detail}, status_code=401, headers=challenge)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
