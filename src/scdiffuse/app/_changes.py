"""What has changed since a page looked last."""

from __future__ import annotations

import threading

__all__ = ["Changes"]


class Changes:
    """Numbers the changes of things, so that a page asks for those since a number."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[tuple[str, str], int] = {}
        self._now = 0

    @property
    def now(self) -> int:
        """Number of the latest change."""
        return self._now

    def note(self, kind: str, name: str) -> None:
        """Note that a thing has changed.

        Parameters
        ----------
        kind
            ``"job"``, ``"cells"``, ``"model"`` or ``"map"``.
        name
            Its id.
        """
        with self._lock:
            self._now += 1
            self._latest[kind, name] = self._now

    def since(self, number: int) -> list[tuple[str, str]]:
        """List the things that have changed after a number, the latest last."""
        with self._lock:
            found = sorted((at, thing) for thing, at in self._latest.items() if at > number)
        return [thing for _, thing in found]
