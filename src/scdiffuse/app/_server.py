"""The server: static files, addresses, uploads and events, behind the checks of `Trust`."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from scdiffuse.app._errors import RefusedError
from scdiffuse.app._folders import UPLOADS, free_path, safe_name
from scdiffuse.app._http import finite
from scdiffuse.app._routes import api_routes
from scdiffuse.app._trust import Trust
from scdiffuse.app._works import App

__all__ = ["build"]

STATIC = Path(__file__).parent / "static"
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_BETWEEN_SIGNS = 15.0
_MOST_UPLOADS = 4
"""Uploads together may be so many times as large as one."""


def build(app: App, *, token: str, hosts: Collection[str] = ()) -> Starlette:
    """Build the server.

    Parameters
    ----------
    app
        What the addresses work with.
    token
        The secret that requests must know.
    hosts
        Names under which it is reached beside those of this machine.
    """

    @asynccontextmanager
    async def live(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            app.close()

    async def upload(request: Request) -> Response:
        try:
            return JSONResponse({"file": await _receive(app, request)})
        except RefusedError as error:
            return JSONResponse({"error": str(error), "kind": "Refused"}, error.status)
        except OSError as error:
            text = f"The upload cannot be kept: {error.strerror}. Choose another name, or free space on the disk."
            return JSONResponse({"error": text, "kind": "Refused"}, 422)

    async def events(request: Request) -> Response:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(_events(app, request), media_type="text/event-stream", headers=headers)

    routes: list[BaseRoute] = [
        *api_routes(app),
        Route("/api/upload", upload, methods=["POST"]),
        Route("/api/events", events, methods=["GET"]),
        Mount("/", StaticFiles(directory=STATIC, html=True, check_dir=False)),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Trust, token=token, hosts=hosts)], lifespan=live)


async def _receive(app: App, request: Request) -> str:
    """Write an upload to the folder of the session, bounded in size, under a safe name that nothing has."""
    session = app.session
    name, folder = safe_name(request.query_params.get("name", "")), request.query_params.get("folder")
    place = session.folders.uploads
    if folder:
        place = free_path(place / safe_name(folder), inside=name)
    await run_in_threadpool(place.mkdir, parents=True, exist_ok=True)
    held = sum(one.stat().st_size for one in session.folders.uploads.rglob("*") if one.is_file())
    most = min(session.limits.max_upload, _MOST_UPLOADS * session.limits.max_upload - held)
    declared = request.headers.get("content-length", "0")
    partial = place / f".{secrets.token_hex(8)}.partial"
    size = int(declared) if declared.isdecimal() else 0
    try:
        with partial.open("wb") as file:
            if size <= most:
                size = 0
                async for part in request.stream():
                    size += len(part)
                    if size > most:
                        break
                    await run_in_threadpool(file.write, part)
        if size > most:
            msg = f"The file is larger than {max(most, 0) / 1024**2:,.0f} MiB, which uploads may have."
            raise RefusedError(413, msg + " Put it into a folder that is named when the app starts.")
        target = free_path(place / name)
        partial.replace(target)
    except ClientDisconnect as error:
        raise RefusedError(422, "The upload was broken off.") from error
    finally:
        partial.unlink(missing_ok=True)
    return "/".join([UPLOADS, *target.relative_to(session.folders.uploads).parts])


async def _events(app: App, request: Request) -> AsyncIterator[str]:
    """Send what changes from now on, and a sign of life where nothing does."""
    session = app.session
    since, quiet = session.changes.now, 0.0
    yield ": here\n\n"
    while not app.queue.is_closed and not await request.is_disconnected():
        now = session.changes.now
        if now == since:
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
            quiet += _SECONDS_BETWEEN_LOOKS
            if quiet >= _SECONDS_BETWEEN_SIGNS:
                quiet = 0.0
                yield ": here\n\n"
            continue
        quiet = 0.0
        for kind, name in session.changes.since(since):
            tree = await run_in_threadpool(app.describe, kind, name)
            if tree is not None:
                yield f"event: {kind}\ndata: {json.dumps(finite(tree))}\n\n"
        since = now
