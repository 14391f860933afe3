"""``scdiffuse app``: a page in the browser that generates cells beside real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scdiffuse.cli._messages import show

__all__ = ["app"]


def app(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[CELLS | MODEL]...", help="Cells and models to open at once.", show_default=False),
    ] = None,
    *,
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder whose files the page may open; repeat for more. Without it and CELLS, the current one.",
            show_default=False,
        ),
    ] = None,
    work: Annotated[Path, typer.Option(help="Folder for uploads, jobs and their models.")] = Path("scdiffuse_app"),
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; without it, 8765 or the next free one.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any other than this machine's own needs --token.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None, typer.Option(help="Secret that opens the page; without it, a new one at each start.")
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Name under which a proxy such as JupyterHub reaches the app; repeat for more."),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only show the address.")] = False,
) -> None:
    """Open a page in the browser: fit, generate and compare cells without typing.

    The page is served to this machine only. Ctrl-C ends it; fits that run go on.
    """
    from scdiffuse.app import Address, serve

    named = paths or []
    folders = folder if folder is not None else [] if named else [Path()]
    address = Address(host=host, port=port, token=token, allow_hosts=tuple(allow_host or ()))
    serve(named, folders=folders, work=work, address=address, browser=not no_browser, show=show)
