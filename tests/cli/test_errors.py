"""Messages of errors, and exit codes."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest

import scdiffuse.cli._app as cli
from scdiffuse._core.errors import CountsError, UnknownNameError

FUNCTIONS = [command.function.__name__ for command in cli.COMMANDS]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Sequence[BaseException]:
    """Make every command end with the error put into the list."""
    errors: list[BaseException] = []

    def fail(**_: object) -> None:
        raise errors[0]

    monkeypatch.setattr(cli, "app", fail)
    return errors


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (CountsError("`X` is normalised."), 2, "Error: `X` is normalised."),
        (UnknownNameError("'x' is not known."), 2, "Error: 'x' is not known."),
        (MemoryError(), 2, "Memory ran out. To need less, lower `--batch-size`"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 2, "Memory ran out."),
        (PermissionError(errno.EACCES, "denied", "out.h5ad"), 2, "No permission for 'out.h5ad'."),
        (OSError(errno.ENOSPC, "full"), 2, "The disk is full. Free some space"),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "x"),
            2,
            "Reading or writing 'x' failed (File name too long)",
        ),
        (OSError("Can't read data (inflate() failed)"), 2, "a file of this command failed (Can't read data (inflate()"),
        (FileNotFoundError(errno.ENOENT, "gone", cli.__file__), 1, "Error: FileNotFoundError"),
        (KeyboardInterrupt(), 130, "Stopped."),
        (ZeroDivisionError("by zero"), 1, "Error: ZeroDivisionError: by zero"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_each_error_has_its_message_and_exit_code(
    error: BaseException, code: int, words: str, failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(error)
    assert cli.run(["generate", "model"]) == code
    printed = capsys.readouterr()
    assert words in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""


def test_a_fault_shows_how_to_report_it(failing: list[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    failing.append(ZeroDivisionError("by zero"))
    cli.run(["generate", "my model"])
    assert "report it with the output of:\n  scdiffuse --debug generate 'my model'" in capsys.readouterr().err


def test_debug_shows_the_traceback(failing: list[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    failing.append(ZeroDivisionError("by zero"))
    assert cli.run(["generate", "model", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["paint"], ["fit"], ["fit", "a.h5ad", "-o", "b", "--no-such"]], ids=["command", "argument", "option"]
)
def test_a_mistyped_command_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(words) == 2
    assert "Error" in capsys.readouterr().err


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    import scdiffuse

    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"scdiffuse {scdiffuse.__version__}\n"


@pytest.mark.parametrize("command", [name.replace("_", "-") for name in FUNCTIONS])
def test_every_command_has_a_help_text(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([command, "--help"]) == 0
    assert "Usage: scdiffuse" in capsys.readouterr().out


def test_a_file_that_a_library_cannot_read_is_named(
    failing: list[BaseException], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(OSError("Can't read data (inflate() failed)"))
    (tmp_path / "cells.h5ad").touch()
    assert cli.run(["inspect", str(tmp_path / "cells.h5ad")]) == 2
    assert f"Reading or writing '{tmp_path / 'cells.h5ad'}' failed" in capsys.readouterr().err


def test_what_a_message_holds_is_shown_and_not_obeyed(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(CountsError("The label \x1b[31mred\x07 is odd."))
    assert cli.run(["inspect", "cells.h5ad"]) == 2
    assert capsys.readouterr().err == "Error: The label \\x1b[31mred\\x07 is odd.\n"
