"""The overall verdict, and what was evaluated: the first screen of a report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

import anndata as ad

from scdiffuse._core.slots import UNS_KEY
from scdiffuse._core.text import one_line
from scdiffuse.cells import describe_origin
from scdiffuse.evaluation._verdicts import CLEAN_LEVELS, Level, Verdict

__all__ = ["NOT_GIVEN", "Evaluated", "evaluated", "overall_verdict"]

NOT_GIVEN = "not given"
_LONGEST = 300  # characters of a source
_WORST_FIRST: tuple[Level, ...] = ("fails", "differs", "too_few", "passes", "unscored")


class Evaluated(TypedDict):
    """What was evaluated, and when."""

    model: str
    """Version, model and seed that the generated cells name."""
    data: str
    """File of the real cells, and the source that they name."""
    date: str


def overall_verdict(verdicts: Mapping[str, Verdict]) -> Verdict:
    """Sum up: the worst answer of all groups, and the groups of each answer.

    Parameters
    ----------
    verdicts
        Verdicts by group.

    Returns
    -------
    A verdict of the group ``"overall"``; of ``"audit"`` where privacy alone was asked about and decides.
    """
    ranked = sorted(verdicts.values(), key=lambda one: _WORST_FIRST.index(one.level))
    privacy = verdicts.get("privacy")
    is_audit = privacy is not None and set(verdicts) <= {"validity", "privacy"} and privacy.level == ranked[0].level
    titles: dict[str, list[str]] = {}
    for one in ranked:
        titles.setdefault(one.level_text, []).append(one.title)
    parts = [_sentence(answer, found) for answer, found in titles.items()]
    return Verdict(
        group="audit" if is_audit else "overall",
        level=ranked[0].level if ranked else "unscored",
        text=" ".join(parts) or "Nothing was scored.",
    )


def _sentence(answer: str, titles: list[str]) -> str:
    """Name the groups of an answer; an answer that only one group can give needs no name."""
    start = answer[:1].upper() + answer[1:]
    return f"{start}." if answer in CLEAN_LEVELS.values() else f"{start}: {', '.join(titles)}."


def evaluated(real: ad.AnnData, generated: ad.AnnData) -> Evaluated:
    """Name model, data and date of an evaluation, by what the cells themselves say.

    Parameters
    ----------
    real, generated
        The cells.

    Returns
    -------
    Lines of text; what the cells do not say is "not given".
    """
    return {"model": _model(generated), "data": _data(real), "date": datetime.now(UTC).date().isoformat()}


def _model(generated: ad.AnnData) -> str:
    """Describe the model that generated cells name in `uns`."""
    made = generated.uns.get(UNS_KEY)
    if not isinstance(made, Mapping) or "model_hash" not in made:
        return NOT_GIVEN
    return _line(f"scdiffuse {made.get('version', '')}, model {made['model_hash']}, seed {made.get('seed', NOT_GIVEN)}")


def _data(real: ad.AnnData) -> str:
    """Describe real cells by the name of their file and by what `uns` says of them."""
    origin = describe_origin(real.uns)
    file = _line(Path(real.filename).name) if real.filename else ""
    said = [one for one in (origin["source"], origin["organism"], origin["licence"]) if one]
    return ": ".join(part for part in (file, ", ".join(said)) if part) or NOT_GIVEN


def _line(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."
