"""Codes of an encoder that was made elsewhere, and a count decoder that is learnt for them."""

from __future__ import annotations

from typing import Any, TypeVar

import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse.autoencoder import (
    AutoencoderConfig,
    AutoencoderTask,
    CountAutoencoder,
    Posterior,
    StandardisingDecoder,
)

__all__ = ["DecodedLatent", "DecoderTask", "freeze"]

Network = TypeVar("Network", bound=nn.Module)
_TUNING_RATE = 0.05  # an encoder that knows already moves this much slower than the decoder that knows nothing


class DecodedLatent(CountAutoencoder):
    """An encoder of elsewhere, exact where it is frozen, with a count decoder of our own.

    Parameters
    ----------
    encoder
        From counts, shape ``(B, G)``, to codes and the log variances of their posterior, each ``(B, D)``.
    fractions, config
        As in `scdiffuse.autoencoder.CountAutoencoder`.
    """

    decoder: StandardisingDecoder

    def __init__(self, encoder: nn.Module, fractions: Tensor, config: AutoencoderConfig) -> None:
        super().__init__(fractions, config, encoder=encoder, decoder=StandardisingDecoder(fractions, config))

    @property
    def is_frozen(self) -> bool:
        """Whether the encoder stays as it is."""
        return next(self.encoder.parameters(), None) is None

    def standardise(self, codes: Tensor) -> None:
        """Tell the decoder where codes lie.

        Parameters
        ----------
        codes
            Codes of the training cells, shape ``(N, D)``.
        """
        self.decoder.code_mean.copy_(codes.mean(dim=0))
        self.decoder.code_std.copy_(codes.std(dim=0, unbiased=False).clamp(min=1e-6))

    def encode(self, counts: sp.csr_matrix) -> Posterior:
        """Infer the latents of cells, without doubt: their standard deviation is 0.

        Parameters
        ----------
        counts
            Counts, shape ``(B, G)``.

        Returns
        -------
        Mean and standard deviation of the latents, on the device of the decoder.
        """
        posterior = super().encode(counts)
        return Posterior(*(part.to(self.decoder.bias.device) for part in posterior))

    def infer(
        self,
        counts: sp.csr_matrix,
        noise: Tensor,
        *,
        seen: sp.csr_matrix | None = None,
        prior_mean: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Take the codes of cells, of all their counts and without noise.

        Parameters
        ----------
        counts
            Counts, shape ``(B, G)``; codes that they carry are taken instead of being inferred.
        noise, seen, prior_mean
            Not used.

        Returns
        -------
        Codes, shape ``(B, D)``, and zeros for a divergence, shape ``(B,)``.
        """
        carried: NDArray[Any] | None = getattr(counts, "embedding", None)
        codes = self.encoder(counts)[0] if carried is None else torch.from_numpy(carried).to(self.decoder.bias.device)
        return codes, codes.new_zeros(len(codes))


class DecoderTask(AutoencoderTask):
    """Learn to decode given codes, and where the encoder is not frozen, tune it gently beside."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Split the weights as an autoencoder's are, and let the encoder move slowly."""
        tuned = list(self.module.encoder.parameters())
        known = {id(weight) for weight in tuned}
        first, *others = super().parameter_groups()
        first["params"] = [weight for weight in first["params"] if id(weight) not in known]
        gentle = {"params": tuned, "rate": _TUNING_RATE, "begin": 0.0}
        return [first, *others, gentle] if tuned else [first, *others]


def freeze(network: Network) -> Network:
    """Make all weights of a network constants, which are saved with it and never trained.

    Parameters
    ----------
    network
        It is changed.

    Returns
    -------
    The same network.
    """
    for part in network.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, weight.detach())
    return network
