"""Who may ask, and how much may be sent: looked at before anything else is.

The server has no users; whoever reaches it may do everything. So other machines need the token, other web
pages in the same browser are told apart by Origin and Host (a page cannot forge these, and a name that was
made to point here, "DNS rebinding", is not one of ours), and a body has a bound.
"""

import ipaddress
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Door", "Gate"]

MOST_BYTES = 16 * 2**20
MOST_IMPORT_BYTES = 512 * 2**20
IMPORT = "/api/import"
_PLAIN_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]+")
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})

CONTENT = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; connect-src 'self'"
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@dataclass(frozen=True)
class Door:
    """How the server can be reached.

    Attributes:
        host: the address it listens at.
        port: the port.
        token: what whoever asks must know, None where nobody else can reach it.
    """

    host: str
    port: int
    token: str | None = None

    @property
    def cookie(self) -> str:
        """The name of the cookie that holds the token; browsers share cookies between ports."""
        return f"keepsight-{self.port}"

    @property
    def address(self) -> str:
        """The page's address, with the token."""
        host = "localhost" if self.host in ("0.0.0.0", "::") else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self.port}/" + (f"?token={quote(self.token, safe='')}" if self.token else "")

    def knows(self, host: str) -> bool:
        """Whether a Host header is one that our own page sends.

        Numbers are let through where the server listens beyond this machine: a name can be made to point
        here, a number cannot.
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in LOCAL or name == self.host.lower():
            return True
        return self.host not in LOCAL and _is_number(name)


class Gate:
    """Lets requests through to an application, or answers them itself.

    Args:
        app: the application behind it.
        door: how it can be reached.
    """

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Looks at one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        wrong = self._wrong(scope, headers)
        if wrong is not None:
            await _refuse(scope, send, 403, wrong)
            return
        most = MOST_IMPORT_BYTES if scope["path"] == IMPORT else MOST_BYTES
        if _length(headers) > most:
            await _refuse(scope, send, 413, _too_large(most))
            return
        cookie = self._new_cookie(scope)
        if cookie and scope["type"] == "http" and scope["path"] == "/":
            # The token must not stay in the address bar and in the history.
            location = {"location": "/", "set-cookie": cookie, "cache-control": "no-store"}
            await _send(send, 303, location, b"")
            return
        bound = _Bound(receive, send, most, _headers_for(headers.get("host", ""), cookie))
        await self._app(scope, bound.receive, bound.send)

    def _wrong(self, scope: Scope, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if not self._door.knows(host):
            return f"Expected this server's own address in Host, but got {host!r}. Open {self._door.host}."
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host.lower():
            return "Another web page may not ask here. Open keepsight's own page."
        if headers.get("sec-fetch-site", "none") == "cross-site" and scope["path"] != "/":
            return "Another web page may not ask here. Open keepsight's own page."
        if self._door.token and not any(
            secrets.compare_digest(said.encode(), self._door.token.encode())
            for said in self._said(scope, headers)
        ):
            return "Expected the token. Open the address that keepsight printed when it was started."
        return None

    def _said(self, scope: Scope, headers: Headers) -> list[str]:
        """Every token that a request carries."""
        said = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        scheme, _, word = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            said = [*said, word.strip()]
        # Other programs on this machine set cookies for it too, and not all are as cookies should be.
        for cookie in headers.get("cookie", "").split(";"):
            name, _, value = cookie.strip().partition("=")
            if name == self._door.cookie:
                said = [*said, unquote(value)]
        return said

    def _new_cookie(self, scope: Scope) -> str | None:
        if not self._door.token or b"token=" not in scope["query_string"]:
            return None
        return f"{self._door.cookie}={quote(self._door.token, safe='')}; HttpOnly; SameSite=Strict; Path=/"


def _headers_for(host: str, cookie: str | None) -> dict[str, str]:
    """What every answer to a host's page has besides its own headers."""
    # Firefox and older Safari do not take the same host's WebSocket for 'self'.
    sockets = f" ws://{host} wss://{host}" if _PLAIN_HOST.fullmatch(host) else ""
    headers = {**HEADERS, "content-security-policy": CONTENT + sockets}
    return headers if cookie is None else {**headers, "set-cookie": cookie}


def _place(origin: str) -> str | None:
    """Host and port of an origin; None where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _length(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _too_large(most: int) -> str:
    return f"Expected at most {most // 2**20} MiB, but got more. Send less."


class _Bound:
    """One request's messages: ends a body that grows too large, and adds our headers to the answer."""

    def __init__(self, receive: Receive, send: Send, most: int, headers: Mapping[str, str]) -> None:
        self._receive, self._send = receive, send
        self._most, self._headers = most, headers
        self._seen = 0
        self._refused = False

    async def receive(self) -> Message:
        """The next message; after too many bytes, that nobody is there any more."""
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if self._seen > self._most else message

    async def send(self, message: Message) -> None:
        """Sends a message of the answer; in place of any answer to too many bytes, a refusal."""
        if self._refused:
            return
        if message["type"] == "http.response.start":
            if self._seen > self._most:
                self._refused = True
                await _say(self._send, 413, _too_large(self._most))
                return
            there = {name for name, _ in message["headers"]}
            more = [(n.encode(), v.encode()) for n, v in self._headers.items() if n.encode() not in there]
            message = {**message, "headers": [*message["headers"], *more]}
        await self._send(message)


async def _refuse(scope: Scope, send: Send, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": sentence[:120]})
        return
    await _say(send, status, sentence)


async def _say(send: Send, status: int, sentence: str) -> None:
    await _send(send, status, {"content-type": "application/json"}, json.dumps({"error": sentence}).encode())


async def _send(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    every = {**headers, **HEADERS, "content-security-policy": CONTENT}
    listed = [(name.encode(), value.encode()) for name, value in every.items()]
    listed.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body})
