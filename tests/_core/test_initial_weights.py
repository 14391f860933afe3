"""First weights follow from their seed alone."""

from __future__ import annotations

from threading import Event, Thread

import torch

from scdiffuse._core.initial_weights import initial_weights


def test_another_thread_that_builds_networks_changes_no_weight() -> None:
    with initial_weights(3):
        alone = [torch.nn.Linear(4, 4).weight.clone() for _ in range(2)]
    started, done = Event(), Event()

    def build() -> None:
        started.set()
        with initial_weights(5):
            torch.nn.Linear(4, 4)
        done.set()

    other = Thread(target=build)
    with initial_weights(3):
        first = torch.nn.Linear(4, 4).weight.clone()
        other.start()
        started.wait()
        assert not done.wait(0.2)
        second = torch.nn.Linear(4, 4).weight.clone()
    other.join()
    assert torch.equal(first, alone[0])
    assert torch.equal(second, alone[1])


def test_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    with initial_weights(3):
        torch.nn.Linear(4, 4)
    assert torch.equal(torch.random.get_rng_state(), before)
