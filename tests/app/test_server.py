"""The server as a whole: beneath a proxy, with events, and as the command line starts it."""

from __future__ import annotations

import json
import re
import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from tests.app.asynchronous import run_async
from tests.app.conftest import TOKEN, Client

from scdiffuse._core.files import locked
from scdiffuse.app._preload import compile_ahead, preload
from scdiffuse.app._server import _events, build
from scdiffuse.app._session import Session
from scdiffuse.cli import run

HUB = "https://hub.example.org/user/me/proxy/8765"


def test_beneath_the_path_of_a_jupyterhub_everything_is_found(client: Client) -> None:
    inner = build(client.app, token=TOKEN, hosts=["hub.example.org"])
    prefix = urlsplit(HUB).path

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["path"].startswith(prefix), "an address that is not relative to the page"
        await inner({**scope, "path": scope["path"].removeprefix(prefix), "raw_path": None}, receive, send)

    async def visit() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(proxy), follow_redirects=True) as http:
            page = await http.get(f"{HUB}/?token={TOKEN}")
            assert page.status_code == 200
            assert str(page.url) == f"{HUB}/"
            assert {cookie.path for cookie in http.cookies.jar} == {prefix}
            for asked in re.findall(r'(?:src|href)="([^"#]+)"', page.text):
                answer = await http.get(page.url.join(asked))
                assert answer.status_code == 200, asked
            assert (await http.get(f"{HUB}/api/session")).json()["roots"]
            origin = {"origin": "https://hub.example.org"}
            body = {"where": {"cell_type": "B"}}
            assert (await http.post(f"{HUB}/api/models/m2/support", json=body, headers=origin)).status_code == 200
            assert (await http.post(f"{HUB}/api/models/m2/support", json=body)).status_code == 403

    run_async(visit)


def test_the_page_asks_for_nothing_by_an_absolute_address() -> None:
    import scdiffuse.app

    static = Path(scdiffuse.app.__file__).parent / "static"
    texts = {path.name: path.read_text() for path in static.rglob("*") if path.suffix in {".html", ".js", ".css"}}
    wrong = [
        name for name, text in texts.items() if re.search(r"""["'`(](?:/api|/js|https?://(?!www\.w3\.org))""", text)
    ]
    assert not wrong
    assert not [
        name
        for name, text in texts.items()
        if re.search(r"\beval\(|new Function\(|\.(?:inner|outer)HTML\s*=|insertAdjacentHTML|document\.write", text)
    ]


def test_events_tell_what_changes_from_now_on(client: Client) -> None:
    class Page:
        async def is_disconnected(self) -> bool:
            return False

    async def listen() -> list[str]:
        heard: list[str] = []
        events = _events(client.app, Page())  # type: ignore[arg-type]
        heard.append(await anext(events))
        client.app.session.changes.note("model", "m2")
        client.app.session.changes.note("cells", "c999")
        heard += [await anext(events) for _ in range(2)]
        return heard

    first, model, gone = run_async(listen)
    assert first == ": here\n\n"
    kind, data = model.strip().split("\n")
    assert kind == "event: model"
    assert json.loads(data.removeprefix("data: "))["id"] == "m2"
    assert json.loads(gone.split("data: ")[1]) == {"id": "c999", "state": "removed"}


def test_changes_are_told_by_number(client: Client) -> None:
    now = client.get("changes", since=0)["now"]
    assert client.get("changes", since=now)["models"] == []
    client.app.session.changes.note("model", "m2")
    found = client.get("changes", since=now)
    assert [one["id"] for one in found["models"]] == ["m2"]
    assert found["now"] > now
    client.get("changes", since="now", status=422)


def test_what_nobody_waits_for_comes_one_after_the_other_and_keeps_nothing_else_waiting(tmp_path: Path) -> None:
    session, free, opened, done = Session(tmp_path, []), threading.Event(), threading.Event(), threading.Event()
    running: list[int] = []

    def lay_out(at: int) -> None:
        running.append(at)
        free.wait(30)

    for at in range(3):
        session.in_background(lambda at=at: lay_out(at), patiently=True)  # type: ignore[misc]
    session.in_background(opened.set)
    assert opened.wait(30)
    assert running in ([], [0])
    free.set()
    session.in_background(done.set, patiently=True)
    assert done.wait(30)
    assert running == [0, 1, 2]
    session.close()


def test_what_is_imported_early_can_be_imported_and_run() -> None:
    preload()
    compile_ahead()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Servers that the command line starts, which end at once."""
    import uvicorn

    held: list[Any] = []

    def run_server(self: Any, sockets: list[socket.socket]) -> None:
        with socket.create_connection(sockets[0].getsockname()[:2], timeout=10):  # the address is shown, so it answers
            pass
        held.append((self.config.app, sockets[0].getsockname()))

    monkeypatch.setattr(uvicorn.Server, "run", run_server)
    return held


def _app(*words: str) -> int:
    return run(["app", "--no-browser", "--port", "0", *words])


def test_the_command_line_binds_this_machine_and_shows_the_address(
    started: list[Any], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (str(data / "cells.h5ad"), str(data / "model.scd"), "--work", str(tmp_path / "work"))
    assert _app(*words) == 0
    shown = capsys.readouterr().err
    host, port = started[0][1]
    assert host == "127.0.0.1"
    token = re.search(rf"http://127\.0\.0\.1:{port}/\?token=(\S+)", shown)
    assert token
    assert len(token.group(1)) >= 32
    assert str(data / "cells.h5ad") in shown
    assert (tmp_path / "work" / "session.json").is_file()
    assert _app(*words) == 0
    again = re.search(r"token=(\S+)", capsys.readouterr().err)
    assert again
    assert again.group(1) != token.group(1)


def test_a_plain_folder_on_the_command_line_is_one_to_choose_from(
    started: list[Any], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _app(str(data), "--work", str(tmp_path / "work")) == 0
    assert started
    assert str(data) in capsys.readouterr().err
    kept = tmp_path / "work" / "session.json"
    assert not kept.is_file() or json.loads(kept.read_text())["models"] == []


def test_the_command_line_refuses_what_is_not_safe(
    started: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = ("--work", str(tmp_path / "work"))
    assert _app("--host", "0.0.0.0", *work) == 2
    assert "others can reach, and no `--token` is given" in " ".join(capsys.readouterr().err.split())
    assert _app("nowhere.h5ad", *work) == 2
    (tmp_path / "work").mkdir(exist_ok=True)
    with locked(tmp_path / "work"):
        assert _app("--folder", str(tmp_path), *work) == 2
    assert "Another app works in" in capsys.readouterr().err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run(["app", "--no-browser", "--port", port, *work]) == 2
    assert "cannot be used" in capsys.readouterr().err
    assert not started


def test_a_host_for_others_is_said_aloud(
    started: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--host", "0.0.0.0", "--token", TOKEN, "--allow-host", "lab.example.org")
    assert _app(*words, "--folder", str(tmp_path), "--work", str(tmp_path / "work")) == 0
    assert "Others can reach 0.0.0.0: who knows the token can read these cells" in capsys.readouterr().err


def test_without_the_extra_the_command_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert _app("--work", str(tmp_path / "work")) == 2
    assert "pip install 'scdiffuse[app]'" in capsys.readouterr().err
