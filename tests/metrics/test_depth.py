"""Depth features: exact values on cells counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from scdiffuse.metrics import DEPTH_NAMES, depth_features


def test_depth_features_of_cells_counted_by_hand() -> None:
    counts = np.array([[1, 1, 2, 4], [0, 0, 0, 8], [0, 0, 0, 0]])
    found = depth_features(counts)
    entropy = -(2 * 0.125 * np.log(0.125) + 0.25 * np.log(0.25) + 0.5 * np.log(0.5))
    assert found[0] == pytest.approx([np.log(9), np.log(5), 0.5, 0.25, np.log(5), entropy])
    assert found[1] == pytest.approx([np.log(9), np.log(2), 0, 0, np.log(9), 0])
    assert (found[2] == 0).all()
    assert found.shape == (3, len(DEPTH_NAMES))


def test_depth_features_do_not_know_which_genes_hold_the_counts() -> None:
    counts = np.random.default_rng(0).poisson(0.7, (30, 50))
    shuffled = np.random.default_rng(1).permuted(counts, axis=1)
    np.testing.assert_allclose(depth_features(sparse.csr_matrix(shuffled)), depth_features(counts), rtol=1e-5)
