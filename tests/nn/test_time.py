from __future__ import annotations

import math

import torch

from scdiffuse.nn import TimeEmbedding, fourier_features


def test_features_are_cosines_and_sines_of_geometric_frequencies() -> None:
    x = torch.tensor([0.3, 1.2], dtype=torch.float64)
    features = fourier_features(x, 3, highest=16.0)
    expected = [[f(w * float(v)) for f in (math.cos, math.sin) for w in (1.0, 4.0, 16.0)] for v in x]
    torch.testing.assert_close(features, torch.tensor(expected, dtype=torch.float64))


def test_near_and_far_times_differ() -> None:
    torch.manual_seed(0)
    embedded = TimeEmbedding(8)(torch.tensor([0.0, 0.02, 1.5]))
    near, far = (embedded[0] - embedded[1]).norm(), (embedded[0] - embedded[2]).norm()
    assert 0.01 < near < far


def test_each_time_has_its_own_row() -> None:
    embedding = TimeEmbedding(8)
    times = torch.rand(5)
    torch.testing.assert_close(embedding(times)[3], embedding(times[3]))
