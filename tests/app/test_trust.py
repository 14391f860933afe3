"""Who may ask: the token, the host, the origin, and what answers allow a page to do."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from tests.app.asynchronous import run_async
from tests.app.conftest import BASE, TOKEN, Client

from scdiffuse._core.errors import SettingError
from scdiffuse.app import Address
from scdiffuse.app._trust import TOKEN_HEADER, Trust, cookie_name

HEADER = {TOKEN_HEADER: TOKEN}
COOKIE = {"cookie": f"{cookie_name(TOKEN)}={TOKEN}"}
SAME = {"origin": BASE}


async def _asked(method: str, path: str, headers: dict[str, str], *, hosts: tuple[str, ...] = ()) -> httpx.Response:
    async def answer(_: object) -> PlainTextResponse:
        return PlainTextResponse("secret")

    inner = Starlette(routes=[Route(one, answer, methods=["GET", "POST", "PUT"]) for one in ("/", "/api/x")])
    transport = httpx.ASGITransport(app=Trust(inner, token=TOKEN, hosts=hosts))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
        return await http.request(method, path, headers=headers)


def _ask(method: str, path: str, headers: dict[str, str], *, hosts: tuple[str, ...] = ()) -> httpx.Response:
    async def run() -> httpx.Response:
        return await _asked(method, path, headers, hosts=hosts)

    return run_async(run)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/api/x", {}, 401),
        ("GET", "/", {}, 401),
        ("GET", "/?token=wrong", {}, 401),
        ("GET", f"/api/x?token={TOKEN}", {}, 401),  # a token in the address opens the page and nothing else
        ("GET", "/api/x", {TOKEN_HEADER: "wrong"}, 401),
        ("GET", "/api/x", {"cookie": f"{cookie_name(TOKEN)}=wrong"}, 401),
        ("GET", "/api/x", {"cookie": "\x01=;;=,"}, 401),
        ("GET", "/api/x", HEADER, 200),
        ("GET", "/api/x", COOKIE, 200),
        ("POST", "/api/x", HEADER, 200),
        ("POST", "/api/x", COOKIE, 403),  # a cookie alone does not say which page asks
        ("POST", "/api/x", COOKIE | SAME, 200),
        ("POST", "/api/x", COOKIE | {"sec-fetch-site": "same-origin"}, 200),
        ("POST", "/api/x", COOKIE | {"origin": "http://127.0.0.1:9999"}, 403),
        ("POST", "/api/x", HEADER | {"origin": "https://evil.example"}, 403),
        ("POST", "/api/x", HEADER | {"origin": "null"}, 403),
        ("POST", "/api/x", HEADER | {"origin": "http://["}, 403),
        ("GET", "/api/x", COOKIE | {"sec-fetch-site": "same-site"}, 403),
        ("GET", "/api/x", COOKIE | {"sec-fetch-site": "cross-site"}, 403),
        ("GET", "/", COOKIE | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
        ("GET", "/api/x", HEADER | {"host": "evil.example"}, 403),  # DNS rebinding
        ("GET", "/api/x", HEADER | {"host": "127.0.0.1.evil.example:8765"}, 403),
        ("GET", "/api/x", HEADER | {"host": ""}, 403),
        ("GET", "/api/x", HEADER | {"host": ":8000"}, 403),
        ("GET", "/api/x", HEADER | {"host": "localhost:1234"}, 200),  # an SSH tunnel from another port
        ("GET", "/api/x", HEADER | {"host": "[::1]:8765"}, 200),
        ("PUT", "/api/x", HEADER, 403),
    ],
)
def test_only_the_page_itself_is_answered(method: str, path: str, headers: dict[str, str], status: int) -> None:
    answer = _ask(method, path, headers)
    assert answer.status_code == status, answer.text
    assert ("secret" in answer.text) == (status == 200)


def test_the_token_becomes_a_cookie_of_the_folder_of_the_page() -> None:
    answer = _ask("GET", f"/?token={TOKEN}", {})
    assert (answer.status_code, answer.headers["location"]) == (303, "./")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{cookie_name(TOKEN)}={TOKEN};")
    assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
    assert "Path" not in cookie  # beneath a proxy, the page has a folder that the server does not know
    assert cookie_name(TOKEN) != cookie_name("another token of a server beside")


def test_a_proxy_is_let_through_under_its_name_only() -> None:
    hub = COOKIE | {"host": "hub.example.org", "origin": "https://hub.example.org"}
    assert _ask("POST", "/api/x", hub).status_code == 403
    assert _ask("POST", "/api/x", hub, hosts=("hub.example.org",)).status_code == 200
    rewritten = COOKIE | {"origin": "https://hub.example.org"}  # a proxy that writes its own Host
    assert _ask("POST", "/api/x", rewritten, hosts=("hub.example.org",)).status_code == 200
    other = COOKIE | {"host": "hub.example.org", "origin": "https://other.example.org"}
    assert _ask("POST", "/api/x", other, hosts=("hub.example.org",)).status_code == 403


@pytest.mark.parametrize(
    ("named", "host"),
    [
        ("Hub.Example.org", "hub.example.org"),
        ("hub.example.org:8000", "HUB.example.org:8000"),
        ("fe80::1", "[fe80::1]:8765"),
        ("[FE80::1]:8765", "[fe80::1]"),
    ],
)
def test_a_name_is_known_however_it_is_written(named: str, host: str) -> None:
    asked = COOKIE | {"host": host, "origin": f"https://{host}"}
    assert _ask("POST", "/api/x", asked, hosts=(named,)).status_code == 200
    assert _ask("POST", "/api/x", asked, hosts=(":8000", "example.org")).status_code == 403


@pytest.mark.parametrize(("path", "headers"), [("/api/x", {}), ("/api/x", HEADER), ("/", {"host": "evil.example"})])
def test_every_answer_forbids_foreign_scripts_frames_and_guesses(path: str, headers: dict[str, str]) -> None:
    found = _ask("GET", path, headers).headers
    policy = dict(part.strip().partition(" ")[::2] for part in found["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in found["content-security-policy"]
    assert found["x-content-type-options"] == "nosniff"
    assert found["referrer-policy"] == "no-referrer"
    assert found["cross-origin-resource-policy"] == "same-origin"


def test_a_host_that_others_reach_needs_a_token_and_a_name() -> None:
    assert len(Address().checked().token or "") >= 32
    assert Address().checked().token != Address().checked().token
    with pytest.raises(SettingError, match="others can reach, and no `token` is given"):
        Address(host="0.0.0.0").checked()
    with pytest.raises(SettingError, match="`token` has 6 characters"):
        Address(token="secret").checked()
    for token in ("ключ" * 5, "a secret\nof two lines"):
        with pytest.raises(SettingError, match="characters that browsers cannot send back"):
            Address(token=token).checked()
    with pytest.raises(SettingError, match="expected `allow_host`"):
        Address(host="0.0.0.0", token=TOKEN).checked()
    assert Address(host="10.0.0.7", token=TOKEN).checked().allow_hosts == ("10.0.0.7",)


def test_static_files_and_pages_need_the_token_too(client: Client) -> None:
    bare = {TOKEN_HEADER: ""}
    for path in ("/", "/index.html", "/api/session", "/api/events"):
        assert client.http.get(path, headers=bare).status_code == 401


def test_the_page_has_no_inline_script_or_style(client: Client) -> None:
    text = client.http.get("/").text
    assert "<script" in text
    assert "<script>" not in text
    assert "<style" not in text
    assert " style=" not in text
    assert "http" not in text.replace("http-equiv", "")  # nothing from elsewhere
