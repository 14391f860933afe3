"""What a study is and what it is given: the protocol behind ``python -m benchmarks STUDY``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from benchmarks.records import Record, Store, plain
from benchmarks.worker import ask


class Study(Protocol):
    """One question with its measurement and its section of ``RESULTS.md``; a module of `benchmarks.studies` is one."""

    name: str
    """Name on the command line, and of the file of records."""

    title: str
    """Heading of the section."""

    summary: str
    """One line of ``python -m benchmarks``: what a reader learns from it."""

    unit: tuple[str, ...]
    """Settings that the tables tell apart. A new record replaces the older ones that agree in them."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of this study, and set its defaults of the common ones."""
        ...

    def run(self, context: Context) -> Iterable[Record]:
        """Measure what is not done yet, a record for each unit of work; each is written as soon as it is known."""
        ...

    def lines(self, records: Sequence[Record]) -> list[str]:
        """Write the section from records: paragraphs and tables in Markdown, none for what was not measured."""
        ...


@runtime_checkable
class DrawnStudy(Study, Protocol):
    """A study with figures."""

    def draw(self, records: Sequence[Record], folder: Path) -> None:
        """Draw the figures that `lines` names into a folder."""
        ...


@dataclass(frozen=True, kw_only=True)
class Context:
    """What holds for one call of a study."""

    options: argparse.Namespace
    """The command line: common options and those of the study."""

    store: Store
    """Records of the study."""

    data: Path | None = None
    """Folder of the data sets; without it only the bundled example data are at hand."""

    work: Path = Path("work")
    """Folder of splits, fitted models and cells of the present commit."""

    @property
    def seeds(self) -> list[int]:
        """Seeds asked for."""
        return list(self.options.seeds)

    def measure(self, settings: Mapping[str, Any], call: Callable[[], Any]) -> Iterator[Record]:
        """Measure one unit of work, unless a record of the same commit and settings is there.

        Parameters
        ----------
        settings
            All that decides what is measured.
        call
            Measures; returns rows, or any other values that JSON can hold. An empty answer leaves no record.

        Yields
        ------
        The record.
        """
        words = ", ".join(f"{name} {value}" for name, value in settings.items())
        if not self.options.overwrite and self.store.is_done(settings):
            say(f"{words}: already done")
            return
        values = call()
        if values:
            say(f"{words}: measured")
            yield self.store.record(settings, values)

    def measure_sets(self, call: Callable[..., Any], **more: object) -> Iterator[Record]:
        """Measure each data set of ``--sets`` with each seed.

        Parameters
        ----------
        call
            Measures, given the context, a data set and ``seed=``.
        **more
            Further settings of each unit.

        Yields
        ------
        The records.
        """
        for data_set in self.options.sets:
            for seed in self.seeds:
                about = {"data_set": data_set, "seed": seed, **more}
                yield from self.measure(about, partial(call, self, data_set, seed=seed))


def say(line: str) -> None:
    """Write a line at once, however the output is read."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def in_process(context: Context, function: str, *, threads: int | None = None, **arguments: object) -> Any:  # noqa: ANN401
    """Call a function of a study in a process of its own, with the context before its arguments.

    Parameters
    ----------
    context
        Context of this process.
    function
        ``module:function`` in `benchmarks.studies`.
    threads
        Threads of the process; those of the command line if not given.
    **arguments
        Further arguments, as JSON can hold them.

    Returns
    -------
    What the function returned.
    """
    options = {name: str(value) if isinstance(value, Path) else value for name, value in vars(context.options).items()}
    job = {
        "function": function,
        "options": options,
        "data": None if context.data is None else str(context.data.resolve()),
        "work": str(context.work),
        "arguments": arguments,
    }
    folder = context.work / "processes" / function.replace(":", "-")
    return ask("study:called", job, folder=folder, n_threads=threads or context.options.threads)


def called(*, function: str, options: dict[str, Any], data: str | None, work: str, arguments: dict[str, Any]) -> Any:  # noqa: ANN401
    """Do in this process what `in_process` asked for in another."""
    module, _, name = function.partition(":")
    study = import_module(f"benchmarks.studies.{module}")
    context = Context(
        options=argparse.Namespace(**options),
        store=Store(Path(options["results"]), study.name, study.unit),
        data=None if data is None else Path(data),
        work=Path(work),
    )
    return plain(getattr(study, name)(context, **arguments))
