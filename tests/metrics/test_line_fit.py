"""The line that both sides' noise leaves unbiased."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffuse.metrics import LineFit, fit_line


def test_the_line_agrees_with_the_major_axis_of_the_covariance() -> None:
    stream = np.random.default_rng(0)
    x = stream.normal(size=500)
    y = 0.6 * x + 0.3 * stream.normal(size=500)
    values, vectors = np.linalg.eigh(np.cov(x, y))
    axis = vectors[:, values.argmax()]
    line = fit_line(x, y)
    assert line.slope == pytest.approx(axis[1] / axis[0])
    assert line.r == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_equal_noise_on_both_sides_does_not_attenuate_the_slope() -> None:
    stream = np.random.default_rng(1)
    truth = stream.normal(size=20_000)
    x, y = truth + stream.normal(size=(2, 20_000))
    assert fit_line(x, y).slope == pytest.approx(1.0, abs=0.05)


def test_a_falling_line_has_a_negative_slope() -> None:
    line = fit_line(np.array([0.0, 1.0, 2.0]), np.array([4.0, 2.0, 0.0]))
    assert line == pytest.approx(LineFit(-1.0, -2.0))


def test_a_constant_side_has_no_line() -> None:
    assert fit_line(np.ones(3), np.arange(3.0)) == LineFit(0.0, 0.0)


@pytest.mark.parametrize("value", [0.1, 1e9 / 7])
def test_equal_values_have_no_line_however_their_mean_is_rounded(value: float) -> None:
    varied = np.array([1.0, 2.0, 4.0])
    assert fit_line(np.full(3, value), varied) == fit_line(varied, np.full(3, value)) == LineFit(0.0, 0.0)
