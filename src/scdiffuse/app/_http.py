"""From requests to functions, and from what these return or raise to answers."""

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from scdiffuse._core.errors import UserError
from scdiffuse.app._errors import RefusedError

__all__ = ["Asked", "Endpoint", "Handler", "binary", "download", "endpoint", "finite"]

_MOST_BODY = 8 * 1024**2


class Asked:
    """A request, as functions see it.

    Parameters
    ----------
    path
        Values of the address.
    query
        Values after its question mark.
    body
        Values of the JSON that was sent.
    """

    def __init__(self, path: Mapping[str, str], query: Mapping[str, str], body: Mapping[str, Any]) -> None:
        self.path = path
        self.query = query
        self.body = body

    def need(self, name: str) -> str:
        """Return a value after the question mark that must be there."""
        if not self.query.get(name):
            raise RefusedError(422, f"`{name}` is missing from the address.")
        return self.query[name]


Handler: TypeAlias = Callable[[Asked], object]
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


def endpoint(handler: Handler, *, status: int = 200) -> Endpoint:
    """Make an endpoint of a function, which runs in a thread.

    Parameters
    ----------
    handler
        Returns a `Response`, or what JSON can hold.
    status
        Of an answer in JSON.
    """

    async def answer(request: Request) -> Response:
        try:
            body = await _read_json(request) if request.method == "POST" else {}
            asked = Asked(request.path_params, request.query_params, body)
            found = await run_in_threadpool(handler, asked)
        except (UserError, MemoryError, ClientDisconnect) as error:
            return _refusal(error)
        except Exception as error:  # noqa: BLE001 - a fault ends one request only
            traceback.print_exc(file=sys.stderr)
            return _failure(500, f"A fault of scdiffuse: {error!r}. The terminal shows where.", "Fault")
        return found if isinstance(found, Response) else JSONResponse(finite(found), status)

    return answer


async def _read_json(request: Request) -> Mapping[str, Any]:
    """Read a body of bounded size that is an object."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > _MOST_BODY:
            raise RefusedError(413, f"The request is larger than {_MOST_BODY // 1024**2} MiB. Select fewer cells.")
        parts.append(part)
    if not size:
        return {}
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise RefusedError(415, "The request is not of the type application/json.")
    try:
        body = json.loads(b"".join(parts))
        json.dumps(body, ensure_ascii=False).encode()  # refuses halves of characters, which no answer could hold
    except (ValueError, RecursionError) as error:
        raise RefusedError(422, f"The request is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise RefusedError(422, f"The request is {type(body).__name__}; expected an object.")
    return body


def _refusal(error: BaseException) -> Response:
    status = error.status if isinstance(error, RefusedError) else 422
    kind = "Refused" if isinstance(error, RefusedError) else type(error).__name__
    return _failure(status, str(error) or kind, kind)


def _failure(status: int, text: str, kind: str) -> Response:
    return JSONResponse(finite({"error": text, "kind": kind}), status)


def finite(value: object) -> object:
    """Write what JSON can hold: `None` for numbers that are not finite, a question mark for half a character.

    Parameters
    ----------
    value
        Any nesting of lists, mappings, text and numbers.
    """
    if isinstance(value, Mapping):
        return {str(finite(str(name))): finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def binary(values: NDArray[Any]) -> Response:
    """Answer with the plain bytes of an array, little-endian."""
    plain = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return Response(plain.tobytes(), media_type="application/octet-stream")


def download(content: bytes | str, name: str, media_type: str) -> Response:
    """Answer with a file that the browser saves."""
    return Response(content, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})
