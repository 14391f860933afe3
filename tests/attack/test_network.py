"""Nothing is downloaded or sent, and no other program runs."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from tests.attack.law import watched
from tests.attack.place import Place


def test_commands_open_no_connection_and_no_program(place_and_events: tuple[Place, list[str]]) -> None:
    assert place_and_events[1] == []


def test_a_connection_and_a_program_would_be_noticed() -> None:
    with watched() as events, socket.socket() as made:
        with pytest.raises(ConnectionRefusedError):
            made.connect(("127.0.0.1", 1))
        subprocess.run([sys.executable, "-c", ""], check=True)
    assert [event.split()[0] for event in events] == ["socket.connect", "subprocess.Popen"]
