"""Binding the server, and telling the user where it is."""

from __future__ import annotations

import secrets
import socket
import sys
import warnings
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from scdiffuse._core.errors import DataFileError, MissingExtraError, SettingError, StorageError
from scdiffuse._core.files import locked

__all__ = ["Address", "serve"]

DEFAULT_PORT = 8765
_PORTS_TRIED = 20
_SHORTEST_TOKEN = 16
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_ALL = {"0.0.0.0", "::"}


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the app listens, and to whom."""

    host: str = "127.0.0.1"
    port: int | None = None
    """`None` takes 8765, or the next free one."""
    token: str | None = None
    """`None` makes a new one."""
    allow_hosts: Sequence[str] = field(default_factory=tuple)
    """Names under which a proxy, such as JupyterHub, reaches the app."""

    def checked(self) -> Address:
        """Check host and token, and make a token where none is given.

        Raises
        ------
        SettingError
            The host is not this machine, and no token is given; or the token is short, or not of ASCII.
        """
        if self.host not in _LOOPBACK and self.token is None:
            msg = f"`host` is {self.host!r}, which others can reach, and no `token` is given; expected a secret of"
            msg += f" {_SHORTEST_TOKEN} characters or more: who knows it can read your cells and start jobs on this"
            raise SettingError(msg + " machine. Leave `host` out and use an SSH tunnel, or pass a token.")
        if self.token is not None and len(self.token) < _SHORTEST_TOKEN:
            msg = f"`token` has {len(self.token)} characters; expected at least {_SHORTEST_TOKEN}, as"
            raise SettingError(msg + ' `python -c "import secrets; print(secrets.token_urlsafe(24))"` makes them.')
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            msg = "`token` has characters that browsers cannot send back; expected letters, digits and signs of ASCII."
            raise SettingError(msg + ' Make one with `python -c "import secrets; print(secrets.token_urlsafe(24))"`.')
        if self.host in _ALL and not self.allow_hosts:
            msg = (
                f"`host` is {self.host!r}; expected `allow_host` with the name under which browsers reach this machine."
            )
            raise SettingError(msg + " Pass it, such as `--allow-host lab.example.org`.")
        token = self.token or secrets.token_urlsafe(24)
        named = {self.host} - _LOOPBACK - _ALL
        return Address(host=self.host, port=self.port, token=token, allow_hosts=(*self.allow_hosts, *named))


def serve(
    paths: Sequence[Path],
    *,
    folders: Sequence[Path] = (),
    work: Path,
    address: Address | None = None,
    browser: bool = True,
    show: Callable[[str], None],
) -> None:
    """Serve the app until Ctrl-C.

    Parameters
    ----------
    paths
        Cells and models to open at once, which may be read; other folders may only be read.
    folders
        Further folders that may be read.
    work
        Folder for uploads, jobs and the state of the session.
    address
        Where to listen.
    browser
        Open the page in a browser.
    show
        Prints a line for the user.

    Raises
    ------
    MissingExtraError
        The extra ``app`` is not installed.
    SettingError
        The address is not safe, or no port is free.
    DataFileError
        A path does not exist.
    StorageError
        Another app works in the folder.
    """
    try:
        import uvicorn

        from scdiffuse.app._server import build
    except ImportError as error:
        msg = f"The app needs {error.name}, which is not installed. Run `pip install 'scdiffuse[app]'`."
        raise MissingExtraError(msg) from error
    from scdiffuse.app._preload import compile_ahead, preload
    from scdiffuse.app._works import App

    for path in [*paths, *folders]:
        if not path.exists():
            msg = f"{str(path)!r} does not exist; expected cells, a model or a folder. Check the path."
            raise DataFileError(msg)
    at = (address or Address()).checked()
    work.mkdir(parents=True, exist_ok=True)
    with locked(work, wait=False) as is_alone, _bind(at) as listener:
        if not is_alone and sys.platform != "win32":
            msg = f"Another app works in {str(work)!r}; expected a folder of its own. Stop it, or pass another folder."
            raise StorageError(msg)
        app = App(work, [*paths, *folders])
        _open_named(app, paths)
        app.session.in_background(preload)
        app.session.in_background(compile_ahead, patiently=True)
        token = at.token or ""
        server = build(app, token=token, hosts=at.allow_hosts)
        url = _url(listener, at.host, token)
        show(f"scdiffuse app: {url}")
        show(f"It reads {', '.join(str(one.path) for one in app.session.folders.roots) or 'uploads only'},")
        show(f"and keeps uploads, jobs and models in {work}. Ctrl-C ends it; fits that run go on.")
        if at.host not in _LOOPBACK:
            show(f"Others can reach {at.host}: who knows the token can read these cells and start jobs here.")
        if browser:
            webbrowser.open(url)
        config = uvicorn.Config(
            server, log_level="warning", access_log=False, server_header=False, proxy_headers=False, ws="none",
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            uvicorn.Server(config).run(sockets=[listener])


def _open_named(app: object, paths: Sequence[Path]) -> None:
    """Open the cells and models that were named; a plain folder is one to choose from."""
    from scdiffuse.app._folders import kind_of
    from scdiffuse.app._routes import open_model_path, open_path
    from scdiffuse.app._works import App
    from scdiffuse.generator import holds_cells

    assert isinstance(app, App)
    session = app.session
    for path in paths:
        whole = path.resolve()
        if kind_of(whole) == "folder" and whole.suffix != ".scd":
            continue
        is_cells = holds_cells(whole)
        held = session.cells.values() if is_cells else session.models.values()
        known = next((one.id for one in held if one.path == whole), None)
        if known is None and is_cells:
            known = open_path(app, whole, file=session.folders.name_of(whole)).id
        elif known is None:
            known = open_model_path(app, whole, file=session.folders.name_of(whole)).id
        kind = "cells" if is_cells else "model"
        session.start[kind] = session.start[kind] or known


def _bind(at: Address) -> socket.socket:
    """Listen on the port that is asked for, or on the first free one."""
    family = socket.AF_INET6 if ":" in at.host else socket.AF_INET
    ports = range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED) if at.port is None else [at.port]
    for port in ports:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((at.host, port))
            listener.listen()  # who asks before the server is up waits, and is not refused
        except OSError as error:
            listener.close()
            if at.port is not None:
                msg = f"`port` {port} of {at.host!r} cannot be used: {error}. Leave `port` out for a free one."
                raise SettingError(msg) from error
        else:
            return listener
    msg = f"No port from {ports[0]} to {ports[-1]} is free; expected one. Name another with `port`."
    raise SettingError(msg)


def _url(listener: socket.socket, host: str, token: str) -> str:
    port = listener.getsockname()[1]
    name = "127.0.0.1" if host in _ALL else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/?token={quote(token)}"
