"""A pretrained encoder with a count decoder that is learnt for its latents."""

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
    code_scale,
)

__all__ = ["DecodedLatent", "DecoderTask", "freeze"]

Network = TypeVar("Network", bound=nn.Module)


class DecodedLatent(CountAutoencoder):
    """A pretrained encoder, unchanged if frozen, with a learnt count decoder.

    Parameters
    ----------
    encoder
        From counts, shape ``(B, G)``, to latents and the log variances of their posterior, each ``(B, D)``.
    fractions, config
        As in `scdiffuse.autoencoder.CountAutoencoder`.
    encoder_rate
        Learning rate of an encoder that is not frozen, relative to that of the decoder.
    """

    decoder: StandardisingDecoder

    def __init__(
        self, encoder: nn.Module, fractions: Tensor, config: AutoencoderConfig, *, encoder_rate: float = 0.05
    ) -> None:
        super().__init__(fractions, config, encoder=encoder, decoder=StandardisingDecoder(fractions, config))
        self.encoder_rate = encoder_rate

    @property
    def is_frozen(self) -> bool:
        """Whether the encoder is not trained."""
        return next(self.encoder.parameters(), None) is None

    def standardise(self, codes: Tensor) -> None:
        """Set the mean and scale of the latents that the decoder reads.

        Parameters
        ----------
        codes
            Latents of the training cells, shape ``(N, D)``.
        """
        mean = codes.mean(dim=0)
        self.decoder.code_mean.copy_(mean)
        self.decoder.code_std.copy_(code_scale(mean, codes.std(dim=0, unbiased=False)))

    def encode(self, counts: sp.csr_matrix) -> Posterior:
        """Infer the latents of cells; their standard deviation is 0.

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
        """Return the latents of cells, from all their counts and without noise.

        Parameters
        ----------
        counts
            Counts, shape ``(B, G)``; their embedding, if any, replaces inference.
        noise, seen, prior_mean
            Not used.

        Returns
        -------
        Latents, shape ``(B, D)``, and zeros for the KL divergence, shape ``(B,)``.
        """
        embedding: NDArray[Any] | None = getattr(counts, "embedding", None)
        codes = (
            self.encoder(counts)[0] if embedding is None else torch.from_numpy(embedding).to(self.decoder.bias.device)
        )
        return codes, codes.new_zeros(len(codes))


class DecoderTask(AutoencoderTask):
    """Learn to decode pretrained latents, and fine-tune the encoder unless frozen."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group the weights as those of an autoencoder, with a lower learning rate for the encoder."""
        tuned = list(self.module.encoder.parameters())
        tuned_ids = {id(weight) for weight in tuned}
        first, *others = super().parameter_groups()
        first["params"] = [weight for weight in first["params"] if id(weight) not in tuned_ids]
        encoder_group = {"params": tuned, "rate": self.module.encoder_rate, "begin": 0.0}
        return [first, *others, encoder_group] if tuned else [first, *others]


def freeze(network: Network) -> Network:
    """Turn all weights of a network into buffers, which are saved and not trained.

    Parameters
    ----------
    network
        Network to change in place.

    Returns
    -------
    The same network.
    """
    for part in network.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, weight.detach())
    return network
