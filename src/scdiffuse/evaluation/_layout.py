"""The layout of cells by UMAP, here or in a process of its own.

As a program, ``python _layout.py SEED`` reads scores from standard input and writes the layout to standard output. It
imports nothing of the package, so that it starts soon.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import threading
import warnings

import numpy as np
from numpy.typing import NDArray

__all__ = ["lay_out", "lay_out_apart"]

_SECONDS_BETWEEN_LOOKS = 0.2
_NICE = 5
"""The layout can wait: on a small machine, answers of the process that asks for it go first."""


def lay_out(scores: NDArray[np.float32], *, seed: int) -> NDArray[np.float32]:
    """Lay out cells in a plane by UMAP.

    Parameters
    ----------
    scores
        Principal components, shape ``(N, P)``.
    seed
        Seed of the layout.

    Returns
    -------
    Coordinates, shape ``(N, 2)``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import umap

        layout = umap.UMAP(n_neighbors=15, min_dist=0.3, random_state=seed, n_jobs=1)
        return np.asarray(layout.fit_transform(scores), dtype=np.float32)


def lay_out_apart(
    scores: NDArray[np.float32], *, seed: int, cancel: threading.Event | None = None
) -> NDArray[np.float32] | None:
    """Lay out cells as `lay_out` does, in a process of its own: compiling UMAP stops other threads for seconds.

    Parameters
    ----------
    scores, seed
        As for `lay_out`.
    cancel
        Ends the process when it is set.

    Returns
    -------
    The layout; `None` where it was cancelled.

    Raises
    ------
    RuntimeError
        The process failed, with the last line that it wrote.
    """
    with tempfile.TemporaryFile() as given:  # through a pipe, what is larger than its buffer is lost after a timeout
        given.write(_packed(scores))
        given.seek(0)
        with subprocess.Popen(
            [sys.executable, "-P", __file__, str(seed)], stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child:
            while True:
                try:
                    answer, said = child.communicate(timeout=_SECONDS_BETWEEN_LOOKS)
                    break
                except subprocess.TimeoutExpired:
                    if cancel is not None and cancel.is_set():
                        child.kill()
                        return None
    if child.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        msg = (
            f"The layout by UMAP ended with exit code {child.returncode}: {lines[-1] if lines else 'it said nothing'}."
        )
        raise RuntimeError(msg)
    return _unpacked(answer)


def _main(seed: int) -> None:
    """Lay out what standard input holds."""
    if hasattr(os, "nice"):
        os.nice(_NICE)
    scores = _unpacked(sys.stdin.buffer.read())
    answer, sys.stdout = sys.stdout, sys.stderr  # what the package prints is no part of the layout
    answer.buffer.write(_packed(lay_out(scores, seed=seed)))
    answer.flush()


def _packed(values: NDArray[np.float32]) -> bytes:
    written = io.BytesIO()
    np.save(written, values, allow_pickle=False)
    return written.getvalue()


def _unpacked(written: bytes) -> NDArray[np.float32]:
    values: NDArray[np.float32] = np.load(io.BytesIO(written), allow_pickle=False)
    return values


if __name__ == "__main__":
    _main(int(sys.argv[1]))
