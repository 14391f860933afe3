"""What a model makes of a combination of conditions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.fitted_model import networks_of, twin

from scdiffuse.generator import CellGenerator
from scdiffuse.model import Networks, mean_expression


def test_cells_weigh_by_library_size_as_in_a_pseudobulk(fitted: CellGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    model = twin(fitted)
    networks = networks_of(model)
    asked = model.conditions.encode(pd.DataFrame([dict.fromkeys(model.conditions.names, None)]))
    sizes, fractions = np.tile([100, 300], 256), np.tile([[0.8, 0.2], [0.4, 0.6]], (256, 1))
    monkeypatch.setattr(Networks, "split", lambda _, latents: (latents[:, :-1], sizes))
    monkeypatch.setattr(type(networks.autoencoder), "mean_fractions", lambda _, codes: fractions.astype(np.float32))
    np.testing.assert_allclose(mean_expression(networks, asked, seed=0), [0.5, 0.5], rtol=1e-6)
