"""Guidance as typed on the command line."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from scdiffuse._core.errors import SettingError, UnknownNameError, did_you_mean
from scdiffuse.cli._where import divide

if TYPE_CHECKING:
    from scdiffuse.cells import Conditions
    from scdiffuse.generator import CellGenerator
    from scdiffuse.sampling import Guidance

__all__ = ["read_guidance", "read_scale", "read_targets"]

Labels = Mapping[str, Collection[str] | None]
"""Labels by condition or classifier; `None` where values are numbers."""


def read_guidance(
    model: CellGenerator,
    scale: Sequence[str] | None,
    *,
    toward: Sequence[str] | None,
    away: Sequence[str] | None,
    interval: tuple[float, float],
    composition: Literal["joint", "additive"],
) -> Guidance:
    """Read all options of guidance as one `Guidance`.

    Parameters
    ----------
    model
        The fitted model.
    scale
        Words of ``--guidance``, as `read_scale` takes them.
    toward, away
        Words of ``--toward`` and ``--away``, as `read_targets` takes them.
    interval, composition
        As `Guidance` takes them.

    Raises
    ------
    SettingError
        A word cannot be read, or a value is out of range.
    UnknownNameError
        The model has no such condition or classifier.
    """
    from scdiffuse.sampling import Guidance

    conditions = model.conditions
    classifiers: Labels = {name: metadata.get("labels") for name, metadata in model.classifiers.items()}
    known: dict[str, Collection[str] | None] = dict.fromkeys(conditions.continuous)
    known |= {name: [str(label) for label in labels] for name, labels in conditions.categorical.items()}
    for name, labels in classifiers.items():
        known[name] = [*(known.get(name) or ()), *(labels or ())] or None
    return Guidance(
        read_scale(scale or [], conditions),
        toward=read_targets("--toward", toward or [], classifiers) or None,
        away=read_targets("--away", away or [], known) or None,
        interval=interval,
        composition=composition,
    )


def read_scale(words: Sequence[str], conditions: Conditions) -> float | dict[str, float]:
    """Read one guidance scale for all conditions, or one for each.

    Parameters
    ----------
    words
        A number such as ``"1.5"``, or words such as ``"cell_type=2"``; no word is 1.
    conditions
        Those of the model.

    Raises
    ------
    SettingError
        A word is neither, or both are given.
    UnknownNameError
        The model has no such condition.
    """
    if not words:
        return 1.0
    if len(words) == 1 and "=" not in words[0]:
        return _number(words[0], "--guidance", words[0])
    scales: dict[str, float] = {}
    for word in words:
        name, text = _pair("--guidance", word, scales, names=conditions.names, example="cell_type=2")
        conditions.require(name)
        scales[name] = _number(text, "--guidance", word)
    return scales


def read_targets(
    option: Literal["--toward", "--away"], words: Sequence[str], known: Labels
) -> dict[str, tuple[str | float, float]]:
    """Read the labels that guidance leads to or away from.

    Parameters
    ----------
    option
        As typed, for messages.
    words
        Words such as ``"organ=Spleen:2.0"``; without a number after the colon the guidance scale is 1.
    known
        Classifiers (and conditions, for ``--away``) that can be named.

    Returns
    -------
    Label or number, and guidance scale, by name.

    Raises
    ------
    SettingError
        A word has no ``=``, a name comes twice, or text stands in place of a number.
    UnknownNameError
        There is no such name.
    """
    targets: dict[str, tuple[str | float, float]] = {}
    for word in words:
        name, text = _pair(option, word, targets, names=known, example="organ=Spleen:2.0")
        if name not in known:
            kind = "a classifier" if option == "--toward" else "a condition or a classifier"
            expected = f"one of {list(known)}" if known else "a model with classifiers"
            msg = f"`{option}` names {name!r}, which is not {kind} of this model; expected {expected}."
            raise UnknownNameError(msg + (did_you_mean(name, known) or " Add it with `scdiffuse add-classifier`."))
        targets[name] = _target(option, name, text, labels=known[name])
    return targets


def _pair(
    option: str, word: str, earlier: Mapping[str, object], *, names: Iterable[str], example: str
) -> tuple[str, str]:
    """Divide a word into name and value."""
    name, equals, text = divide(word, names)
    if not equals or not text:
        msg = f"`{option}` {word!r} has no name and value; expected `{option} name=value`."
        raise SettingError(msg + f" Write it as `{option} {example}`.")
    if name in earlier:
        msg = f"`{option}` is given twice for {name!r}; expected one value for each name. Leave one out."
        raise SettingError(msg)
    return name, text


def _target(option: str, name: str, text: str, *, labels: Collection[str] | None) -> tuple[str | float, float]:
    """Divide a value from its guidance scale; a label may hold colons."""
    word = f"{name}={text}"
    head, colon, tail = text.rpartition(":")
    if labels is not None and (text in labels or not colon):
        return text, 1.0
    value, scale = (head, _number(tail, option, word)) if colon else (text, 1.0)
    if labels is not None:
        return value, scale
    try:
        return float(value), scale
    except ValueError:
        msg = f"`{option}` {word!r} gives text, but {name!r} has numbers; expected `{option} {name}=4.5`, or"
        raise SettingError(msg + f" `{option} {name}=4.5:2.0` with a guidance scale.") from None


def _number(text: str, option: str, word: str) -> float:
    """Read a guidance scale."""
    try:
        return float(text)
    except ValueError:
        msg = f"`{option}` {word!r} has the guidance scale {text!r}; expected a number, such as 2.0. 1 is the model as"
        raise SettingError(msg + " learnt.") from None
