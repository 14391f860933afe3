"""Errors of requests, with the status that the page gets."""

from __future__ import annotations

from scdiffuse._core.errors import UserError

__all__ = ["RefusedError"]


class RefusedError(UserError):
    """A request that is not carried out.

    Parameters
    ----------
    status
        Status of HTTP.
    message
        What was given, what is expected, and what to do.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
