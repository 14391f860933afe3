"""Who may ask: the token, the host and the origin of each request, and the headers of each answer."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LOOPBACK", "TOKEN_HEADER", "Trust", "cookie_name"]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
TOKEN_HEADER = "x-scdiffuse-token"
_SAFE = {"GET", "HEAD"}
_METHODS = _SAFE | {"POST", "DELETE"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; worker-src 'self'; frame-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def cookie_name(token: str) -> str:
    """Name the cookie of a token, so that servers on several ports of one machine have one each.

    Parameters
    ----------
    token
        The secret.
    """
    return f"scdiffuse-{hashlib.sha256(token.encode()).hexdigest()[:12]}"


class Trust:
    """Lets a request through that knows the token and comes from the page itself.

    A name of a host is checked because another page can make a browser send requests here under its own name (DNS
    rebinding), and the origin because a browser adds the cookie to what other pages ask for.

    Parameters
    ----------
    app
        What answers.
    token
        The secret of this server.
    hosts
        Names under which it is reached beside those of this machine, such as that of a JupyterHub.
    """

    def __init__(self, app: ASGIApp, *, token: str, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._token = token
        self._cookie = cookie_name(token)
        self._hosts = frozenset(map(_name_of, hosts)) - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refuse(scope)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refuse(self, scope: Scope) -> Response | None:
        """Return an answer to a request that is not let through, or that brings the token for the first time."""
        headers = Headers(scope=scope)
        is_page = scope["path"] in {"", "/"} and scope["method"] in _SAFE
        wrong = self._find_stranger(scope["method"], headers, is_page=is_page)
        if wrong:
            return _refusal(403, wrong)
        if is_page:
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if given and self._is_token(given):
                answer = RedirectResponse("./", status_code=303)
                # no path: the browser then sends it to the folder of the page only, beneath a proxy as well
                answer.set_cookie(self._cookie, self._token, path=None, httponly=True, samesite="strict")
                return answer
        if self._is_token(headers.get(TOKEN_HEADER, "")):
            return None
        if not self._is_token(_read_cookie(headers.get("cookie", ""), self._cookie)):
            text = "The token is missing. Open the address that `scdiffuse app` shows in the terminal."
            return PlainTextResponse(text, 401) if is_page else _refusal(401, text)
        is_named = "origin" in headers or headers.get("sec-fetch-site") == "same-origin"
        if scope["method"] not in _SAFE and not is_named:
            return _refusal(403, "The request does not say which page it comes from.")
        return None

    def _find_stranger(self, method: str, headers: Headers, *, is_page: bool) -> str:
        """Say what is wrong with where a request comes from; empty where nothing is."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_ours(host):
            return f"The host {host!r} is not served. Start with `--allow-host` and its name."
        if method not in _METHODS:
            return f"{method} is not a method of this server."
        if origin is not None and not self._is_same(origin, host):
            return f"The origin {origin!r} is not that of the page."
        is_visit = is_page and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"} and not is_visit:
            return "The request comes from another page."
        return ""

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token.encode())

    def _is_ours(self, host: str) -> bool:
        name = _name_of(host)
        return name in LOOPBACK or name in self._hosts

    def _is_same(self, origin: str, host: str) -> bool:
        """Return whether an origin is this host, or one that stands before it as a proxy."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in {"http", "https"} and (parts.netloc == host or _name_of(parts.netloc) in self._hosts)


def _name_of(host: str) -> str:
    """Write a host as all are compared: small letters, no port, and brackets around an address of IPv6."""
    name = host.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return f"[{name}]" if name.count(":") > 1 else name.partition(":")[0]


def _read_cookie(text: str, name: str) -> str:
    try:
        held = SimpleCookie(text).get(name)
    except CookieError:
        return ""
    return held.value if held else ""


def _refusal(status: int, message: str) -> Response:
    body = json.dumps({"error": message, "kind": "Refused"})
    return Response(body, status, media_type="application/json")
