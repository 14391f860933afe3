"""Guidance as typed on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scdiffuse._core.errors import SettingError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from scdiffuse.cells import Conditions
    from scdiffuse.generator import CellGenerator

__all__ = ["read_avoid", "read_guidance", "read_guide", "read_interval", "read_steering"]

Wishes = dict[str, tuple[str | float, float]]
"""Label or number, and strength, by name."""


def read_steering(
    model: CellGenerator,
    *,
    guidance: Sequence[str] | None,
    guide: Sequence[str] | None,
    avoid: Sequence[str] | None,
    interval: str | None,
) -> dict[str, Any]:
    """Read all that steers, as arguments of `CellGenerator`.

    Parameters
    ----------
    model
        The fitted model.
    guidance, guide, avoid, interval
        As `read_guidance`, `read_guide`, `read_avoid` and `read_interval` take them.
    """
    return {
        "guidance": read_guidance(guidance or [], model.conditions),
        "guide": read_guide(guide or [], model.classifiers) or None,
        "avoid": read_avoid(avoid or [], model.conditions, model.classifiers) or None,
        "interval": read_interval(interval),
    }


def read_guidance(words: Sequence[str], conditions: Conditions) -> float | dict[str, float]:
    """Read one strength for all conditions, or one for each.

    Parameters
    ----------
    words
        A number such as ``"1.5"``, or words such as ``"cell_type=2"``; none is 1.
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
        return _strength(words[0], f"--guidance {words[0]}")
    strengths: dict[str, float] = {}
    for word in words:
        name, text = _pair(word, "guidance", "cell_type=2")
        conditions.require(name)
        strengths[_new(name, strengths, "guidance")] = _strength(text, f"--guidance {word}")
    return strengths


def read_guide(words: Sequence[str], classifiers: Mapping[str, Mapping[str, Any]]) -> Wishes:
    """Read what classifiers shall guide to.

    Parameters
    ----------
    words
        Words such as ``"organ=Spleen:2.0"``; without a number after the colon the strength is 1.
    classifiers
        What the model says of each of its own.

    Raises
    ------
    SettingError
        A word has no ``=``, a name comes twice, or a number is none.
    UnknownNameError
        The model has no such classifier.
    """
    wishes: Wishes = {}
    for word in words:
        name, text = _pair(word, "guide", "organ=Spleen:2.0")
        if name not in classifiers:
            msg = f"{name!r} is not a classifier of this model; expected one of {list(classifiers)}."
            raise UnknownNameError(
                msg + (did_you_mean(name, classifiers) or " Add it with `scdiffuse add-classifier`.")
            )
        wishes[_new(name, wishes, "guide")] = _wish(word, text, classifiers[name].get("labels"))
    return wishes


def read_avoid(words: Sequence[str], conditions: Conditions, classifiers: Mapping[str, Mapping[str, Any]]) -> Wishes:
    """Read what cells shall stay away from.

    Parameters
    ----------
    words
        Words such as ``"cell_type=NK cell:2.0"``; without a number after the colon the strength is 1.
    conditions, classifiers
        Those of the model; a name of either will do.

    Raises
    ------
    SettingError
        A word has no ``=``, a name comes twice, or a number is none.
    UnknownNameError
        There is no such condition or classifier.
    """
    wishes: Wishes = {}
    known = [*conditions.names, *(name for name in classifiers if name not in conditions.names)]
    for word in words:
        name, text = _pair(word, "avoid", "cell_type=B")
        if name not in known:
            msg = f"`--avoid` names {name!r}, which is no condition or classifier; expected one of {known}."
            raise UnknownNameError(msg + did_you_mean(name, known))
        own = classifiers.get(name, {}).get("labels", {})
        labels = {str(label) for label in conditions.categorical.get(name, ())} | set(own)
        wishes[_new(name, wishes, "avoid")] = _wish(word, text, labels or None)
    return wishes


def read_interval(text: str | None) -> tuple[float, float]:
    """Read the times in which guidance acts.

    Parameters
    ----------
    text
        Such as ``"0.2,0.8"``; `None` is all times.

    Raises
    ------
    SettingError
        It is not two numbers.
    """
    if text is None:
        return 0.0, 1.0
    try:
        low, high = (float(word) for word in text.split(","))
    except ValueError:
        msg = f"`--interval` {text!r} is not two times; expected a lower and a higher one within 0 to 1."
        raise SettingError(msg + " Write them as `--interval 0.2,0.8`.") from None
    return low, high


def _pair(word: str, option: str, example: str) -> tuple[str, str]:
    name, equals, text = word.partition("=")
    if not equals or not text:
        msg = f"`--{option}` {word!r} has no name and value; expected `name=value`."
        raise SettingError(msg + f" Write it as `--{option} {example}`.")
    return name, text


def _new(name: str, held: Mapping[str, object], option: str) -> str:
    if name in held:
        msg = f"`--{option} {name}=...` is given twice; expected one value a name. Leave one out."
        raise SettingError(msg)
    return name


def _wish(word: str, text: str, labels: Mapping[str, object] | set[str] | None) -> tuple[str | float, float]:
    """Divide a value from its strength; a label may hold colons."""
    head, colon, tail = text.rpartition(":")
    if labels is not None and (text in labels or not colon):
        return text, 1.0
    value, strength = (head, _strength(tail, word)) if colon else (text, 1.0)
    if labels is not None:
        return value, strength
    try:
        return float(value), strength
    except ValueError:
        msg = f"`{word}` does not give a number, but the name stands for numbers; expected one such as `day=4.5`."
        raise SettingError(msg + " With a strength it is `day=4.5:2.0`.") from None


def _strength(text: str, word: str) -> float:
    try:
        return float(text)
    except ValueError:
        msg = f"`{word}` has the strength {text!r}; expected a number, or `name=number`. 1 is as learnt."
        raise SettingError(msg) from None
