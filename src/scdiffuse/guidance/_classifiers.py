"""Classifiers and regressors of noisy latents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from scdiffuse._core.errors import SettingError
from scdiffuse.nn import ModulatedBlock, TimeEmbedding

__all__ = ["Classifier", "ClassifierConfig", "LabelClassifier", "NoisyClassifier", "NumberRegressor"]

_LEAST_SHARE = 0.01  # of the variance of a number that stays unexplained without noise


class Classifier(Protocol):
    """What a guide asks of a classifier."""

    def log_prob(self, u: Tensor, theta: Tensor, target: Tensor, *, away: bool = False) -> Tensor:
        r"""Return how probable targets are, given noisy latents.

        Parameters
        ----------
        u
            :math:`u = \cos\theta\, z_t / \sqrt{\alpha_t^2 + \sigma_t^2}`, shape ``(B, D)``.
        theta
            Angles of their times, shape ``()`` or ``(B,)``.
        target
            Codes of labels, or standardised numbers, shape ``(B,)``.
        away
            Return the log-probability of all other labels instead.

        Returns
        -------
        Log-probabilities in nats, shape ``(B,)``; each depends on its own row only.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """Width and depth of the network of a classifier."""

    width: int = 64
    """Width of its hidden layers."""
    depth: int = 2
    """Residual blocks."""
    embedding_width: int = 32
    """Width of the embedding of time."""

    def __post_init__(self) -> None:
        for name in ("width", "depth", "embedding_width"):
            if getattr(self, name) < 1:
                msg = f"`{name}` must be at least 1, got {getattr(self, name)}; leave it out for the default."
                raise SettingError(msg)


class NoisyClassifier(nn.Module):
    r"""A linear discriminant that knows the noise, and a network for what it misses.

    With :math:`y = \cos\theta\, z + \sin\theta\, \varepsilon` the noisy latent of unit variance, all is a function of
    :math:`u = \cos\theta\, y`, the estimate of :math:`z` for a standard normal, which is 0 in pure noise. So nothing is
    known there, and gradients by :math:`z_t` divided by :math:`\alpha_t` stay finite. Where latents are normal with the
    covariance :math:`\Sigma` about centres :math:`m_k`, linear scores

    .. math:: l_k = u^T \Lambda_\theta\, m_k, \quad \Lambda_\theta = (\cos^2\theta\, \Sigma + \sin^2\theta\, I)^{-1}

    are all that can be known at any noise. They are found from the moments of the cells and not trained; the network
    adds :math:`\cos\theta\, G(u, \theta)` and starts at 0. Latents beyond the first ``D``, such as the library size,
    are not looked at: noise is independent in each, so that what is known of the others alone stays exact.

    Parameters
    ----------
    n_latent
        Number ``D`` of latents to look at.
    n_scores
        Number ``K`` of linear scores.
    config
        Width and depth.

    References
    ----------
    Dhariwal and Nichol 2021, https://arxiv.org/abs/2105.05233, section 4 (classifiers trained on noisy data).
    """

    basis: Tensor
    spread: Tensor
    centres: Tensor

    def __init__(self, n_latent: int, n_scores: int, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("basis", torch.eye(n_latent))
        self.register_buffer("spread", torch.ones(n_latent))
        self.register_buffer("centres", torch.zeros(n_scores, n_latent))
        self.time = TimeEmbedding(config.embedding_width)
        self.read = nn.Linear(n_latent, config.width)
        self.blocks = nn.ModuleList(ModulatedBlock(config.width, config.embedding_width) for _ in range(config.depth))
        self.write = nn.Linear(config.width, n_scores)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)

    @property
    def n_latent(self) -> int:
        """Latents that it looks at."""
        return len(self.spread)

    def settle(self, centres: Tensor, covariance: Tensor) -> None:
        """Set what the linear scores are made of.

        Parameters
        ----------
        centres
            Shape ``(K, D)``.
        covariance
            Shape ``(D, D)``, positive definite.
        """
        spread, basis = torch.linalg.eigh(covariance.double())
        self.basis.copy_(basis)
        self.spread.copy_(spread.clamp(min=1e-4))
        self.centres.copy_(centres.double() @ basis)

    def explained(self, theta: Tensor, other: Tensor) -> Tensor:
        r"""Return :math:`\cos^2\theta\, m_k^T \Lambda_\theta\, o_k`, the part of linear scores that no cell changes.

        Parameters
        ----------
        theta
            Angles, any shape ``(*)``.
        other
            :math:`o` in the basis of the covariance, shape ``(K, D)`` or ``(1, D)``.

        Returns
        -------
        Shape ``(*, K)``.
        """
        share = theta.cos()[..., None].square() / self._spread(theta)
        return share @ (self.centres * other).T

    def scores(self, u: Tensor, theta: Tensor) -> Tensor:
        """Compute linear scores and what the network adds.

        Parameters
        ----------
        u
            Shape ``(B, D)`` or wider.
        theta
            Shape ``()`` or ``(B,)``.

        Returns
        -------
        Scores, shape ``(B, K)``.
        """
        u = u[:, : self.n_latent]
        linear = (u @ self.basis / self._spread(theta)) @ self.centres.T
        of_time = self.time(theta.reshape(-1))
        h = self.read(u)
        for block in self.blocks:
            h = block(h, block.modulate(of_time))  # type: ignore[operator]
        added = self.write(nn.functional.layer_norm(h, (self.config.width,)))
        summed: Tensor = linear + theta.cos()[..., None] * added
        return summed

    def _spread(self, theta: Tensor) -> Tensor:
        return theta.cos()[..., None].square() * self.spread + theta.sin()[..., None].square()


class LabelClassifier(NoisyClassifier):
    r"""Probabilities of labels, given noisy latents.

    .. math:: \log p(k \mid z_t, t) = \log \pi_k + l_k - \tfrac12 \cos^2\theta\, m_k^T \Lambda_\theta\, m_k
              + \cos\theta\, G_k + \mathrm{const},

    exact without a network for normal classes of one covariance, and :math:`\pi`, the shares of the labels, in pure
    noise.

    Parameters
    ----------
    n_latent
        Number ``D`` of latents to look at.
    n_labels
        Number ``K`` of labels.
    config
        Width and depth.
    """

    log_shares: Tensor

    def __init__(self, n_latent: int, n_labels: int, config: ClassifierConfig) -> None:
        super().__init__(n_latent, n_labels, config)
        self.register_buffer("log_shares", torch.full((n_labels,), -math.log(n_labels)))

    @torch.no_grad()
    def learn(self, means: Tensor, stds: Tensor, target: Tensor) -> None:
        """Find shares, centres and the covariance within labels.

        Parameters
        ----------
        means, stds
            Posterior of each cell's latent, shape ``(N, D)`` or wider.
        target
            Code of each cell's label, shape ``(N,)``.
        """
        means, stds = means[:, : self.n_latent], stds[:, : self.n_latent]
        n_cells, width = means.shape
        own = nn.functional.one_hot(target.long(), self.log_shares.numel()).double()
        counts, latents = own.sum(dim=0), means.double()
        centres = own.T @ latents / (counts + 2.0)[:, None]  # in cells: rare labels are drawn towards 0
        residual = latents - own @ centres
        within = residual.T @ residual + torch.diag(stds.double().square().sum(dim=0))
        eye = torch.eye(width, dtype=torch.float64)
        self.settle(centres, (within + width * eye) / (n_cells + width))
        self.log_shares.copy_(((counts + 0.5) / (counts + 0.5).sum()).log())

    def logits(self, u: Tensor, theta: Tensor) -> Tensor:
        """Return log-probabilities of all labels, shape ``(B, K)``, for the arguments of `scores`."""
        return (self.log_shares + self.scores(u, theta) - 0.5 * self.explained(theta, self.centres)).log_softmax(dim=-1)

    def log_prob(self, u: Tensor, theta: Tensor, target: Tensor, *, away: bool = False) -> Tensor:
        """Return the log-probability of labels, or of all others; see `Classifier.log_prob`."""
        logits = self.logits(u, theta)
        code = target.long()[:, None]
        if not away:
            return logits.gather(1, code)[:, 0]
        return logits.scatter(1, code, -math.inf).logsumexp(dim=1)


class NumberRegressor(NoisyClassifier):
    r"""A normal distribution of a number, given noisy latents.

    .. math:: p(r \mid z_t, t) = \mathcal N\left((u - \cos^2\theta\, \bar z)^T \Lambda_\theta\, m + \cos\theta\, G,\;
              (1 - \cos^2\theta\, m^T \Lambda_\theta\, m)\, e^{\cos\theta\, H(\theta)}\right),

    with :math:`m` the covariance of latent and number, :math:`\bar z` and :math:`\Sigma` mean and covariance of
    latents, and the number standardised: exact without a network where both are normal together. The variance follows
    the noise and not the cell, so that a cell far from its number is drawn there and not into uncertainty.

    Parameters
    ----------
    n_latent
        Number ``D`` of latents to look at.
    config
        Width and depth.
    """

    middle: Tensor

    def __init__(self, n_latent: int, config: ClassifierConfig) -> None:
        super().__init__(n_latent, 1, config)
        self.register_buffer("middle", torch.zeros(1, n_latent))
        self.log_factor = nn.Linear(config.embedding_width, 1)
        nn.init.zeros_(self.log_factor.weight)
        nn.init.zeros_(self.log_factor.bias)

    @torch.no_grad()
    def learn(self, means: Tensor, stds: Tensor, target: Tensor) -> None:
        """Find mean and covariance of latents, and their covariance with the number.

        Parameters
        ----------
        means, stds
            Posterior of each cell's latent, shape ``(N, D)`` or wider.
        target
            Standardised numbers, shape ``(N,)``.
        """
        means, stds = means[:, : self.n_latent], stds[:, : self.n_latent]
        n_cells, width = means.shape
        middle = means.double().mean(dim=0)
        latents = means.double() - middle
        whole = latents.T @ latents + torch.diag(stds.double().square().sum(dim=0))
        slope = target.double() @ latents / (n_cells + width)
        self.settle(slope[None], (whole + width * torch.eye(width, dtype=torch.float64)) / (n_cells + width))
        self.middle.copy_((middle @ self.basis.cpu().double())[None])

    def moments(self, u: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance, shapes ``(B,)`` and ``()`` or ``(B,)``, for the arguments of `scores`."""
        unexplained = (1.0 - self.explained(theta, self.centres)[..., 0]).clamp(min=_LEAST_SHARE)
        factor = (theta.cos() * self.log_factor(self.time(theta))[..., 0]).exp()
        mean = self.scores(u, theta)[:, 0] - self.explained(theta, self.middle)[..., 0]
        return mean, unexplained * factor

    def log_prob(self, u: Tensor, theta: Tensor, target: Tensor, *, away: bool = False) -> Tensor:
        """Return the log-density of numbers; see `Classifier.log_prob`."""
        if away:
            msg = "A number cannot be avoided; expected a label. Guide towards another number instead."
            raise SettingError(msg)
        mean, variance = self.moments(u, theta)
        return -0.5 * ((target - mean).square() / variance + (2.0 * math.pi * variance).log())
