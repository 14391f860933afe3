"""Noise-aware classifiers and regressors: labels or numbers from latents at any noise level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from scdiffuse._core.errors import SettingError
from scdiffuse.nn import ModulatedBlock, TimeEmbedding

__all__ = ["Classifier", "ClassifierConfig", "LabelClassifier", "NoisyClassifier", "NumberRegressor"]


class Classifier(Protocol):
    """Predicts labels or numbers from noisy latents; a guide follows its gradient."""

    def log_prob(self, u: Tensor, theta: Tensor, target: Tensor, *, away: bool = False) -> Tensor:
        r"""Return the log-probability of targets, given noisy latents.

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
    """Settings of the network of a classifier and of its linear part."""

    width: int = 64
    """Width of its hidden layers."""
    depth: int = 2
    """Residual blocks."""
    embedding_width: int = 32
    """Width of the embedding of time."""
    label_shrinkage: float = 2.0
    """Cells of mean 0 that are added to each label when its mean latent is estimated."""
    label_pseudocount: float = 0.5
    """Cells that are added to each label when its frequency is estimated."""
    least_unexplained: float = 0.01
    """Least fraction of the variance of a number that stays unexplained without noise."""
    validation_draws: int = 4_096
    """Noisy latents that a validation is computed on."""

    def __post_init__(self) -> None:
        for name in ("width", "depth", "embedding_width", "validation_draws"):
            if getattr(self, name) < 1:
                msg = f"`{name}` must be at least 1, got {getattr(self, name)}; leave it out for the default."
                raise SettingError(msg)
        for name in ("label_shrinkage", "label_pseudocount", "least_unexplained"):
            if getattr(self, name) < 0.0:
                msg = f"`{name}` must not be negative, got {getattr(self, name)}; leave it out for the default."
                raise SettingError(msg)


class NoisyClassifier(nn.Module):
    r"""Linear discriminant analysis at any noise level, and a network for what is not linear.

    With :math:`y = \cos\theta\, z + \sin\theta\, \varepsilon` the noisy latent of unit variance, both parts
    depend on :math:`u = \cos\theta\, y`, the denoised mean of a standard normal, which is 0 in pure noise. So gradients
    by :math:`z_t` divided by :math:`\alpha_t` stay finite. Where latents are normal with the covariance
    :math:`\Sigma` around class means :math:`m_k`, linear scores

    .. math:: l_k = u^T \Lambda_\theta\, m_k, \quad \Lambda_\theta = (\cos^2\theta\, \Sigma + \sin^2\theta\, I)^{-1}

    are exact at any noise level. The scores follow from the moments of the cells without training; the network adds
    :math:`\cos\theta\, G(u, \theta)` and starts at 0. Latents beyond the first ``D``, such as the library size, are not
    used: the noise of each latent is independent, so that scores of the first ``D`` alone stay exact.

    Parameters
    ----------
    n_latent
        Number ``D`` of latents to use.
    n_scores
        Number ``K`` of linear scores.
    config
        Settings of the network and the linear part.

    References
    ----------
    Dhariwal and Nichol 2021, https://arxiv.org/abs/2105.05233, section 4 (classifiers trained on noisy data).
    """

    basis: Tensor
    variances: Tensor
    class_means: Tensor

    def __init__(self, n_latent: int, n_scores: int, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("basis", torch.eye(n_latent))
        self.register_buffer("variances", torch.ones(n_latent))
        self.register_buffer("class_means", torch.zeros(n_scores, n_latent))
        self.time = TimeEmbedding(config.embedding_width)
        self.read = nn.Linear(n_latent, config.width)
        self.blocks = nn.ModuleList(ModulatedBlock(config.width, config.embedding_width) for _ in range(config.depth))
        self.write = nn.Linear(config.width, n_scores)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)

    @property
    def n_latent(self) -> int:
        """Number of latents that the classifier uses."""
        return len(self.variances)

    def set_linear_part(self, class_means: Tensor, covariance: Tensor) -> None:
        """Set the class means and the covariance of the linear scores.

        Parameters
        ----------
        class_means
            Shape ``(K, D)``.
        covariance
            Shape ``(D, D)``, positive definite.
        """
        variances, basis = torch.linalg.eigh(covariance.double())
        self.basis.copy_(basis)
        self.variances.copy_(variances.clamp(min=1e-4))
        self.class_means.copy_(class_means.double() @ basis)

    def explained(self, theta: Tensor, other: Tensor) -> Tensor:
        r"""Return :math:`\cos^2\theta\, m_k^T \Lambda_\theta\, o_k`, the constant part of linear scores.

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
        signal = theta.cos()[..., None].square() / self._noisy_variances(theta)
        return signal @ (self.class_means * other).T

    def scores(self, u: Tensor, theta: Tensor) -> Tensor:
        """Compute the sum of linear scores and network.

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
        linear = (u @ self.basis / self._noisy_variances(theta)) @ self.class_means.T
        of_time = self.time(theta.reshape(-1))
        h = self.read(u)
        for block in self.blocks:
            h = block(h, block.modulate(of_time))  # type: ignore[operator]
        added = self.write(nn.functional.layer_norm(h, (self.config.width,)))
        summed: Tensor = linear + theta.cos()[..., None] * added
        return summed

    def _noisy_variances(self, theta: Tensor) -> Tensor:
        return theta.cos()[..., None].square() * self.variances + theta.sin()[..., None].square()


class LabelClassifier(NoisyClassifier):
    r"""Probabilities of labels, given noisy latents.

    .. math:: \log p(k \mid z_t, t) = \log \pi_k + l_k - \tfrac12 \cos^2\theta\, m_k^T \Lambda_\theta\, m_k
              + \cos\theta\, G_k + \mathrm{const},

    exact without a network for normal classes of one covariance, and equal to :math:`\pi`, the frequencies of the
    labels, in pure noise.

    Parameters
    ----------
    n_latent
        Number ``D`` of latents to use.
    n_labels
        Number ``K`` of labels.
    config
        Settings of the network and the linear part.
    """

    log_frequencies: Tensor

    def __init__(self, n_latent: int, n_labels: int, config: ClassifierConfig) -> None:
        super().__init__(n_latent, n_labels, config)
        self.register_buffer("log_frequencies", torch.full((n_labels,), -math.log(n_labels)))

    @torch.no_grad()
    def learn(self, means: Tensor, stds: Tensor, target: Tensor) -> None:
        """Estimate the frequencies and mean latents of labels, and the covariance within labels.

        Parameters
        ----------
        means, stds
            Posterior of each cell's latent, shape ``(N, D)`` or wider.
        target
            Code of each cell's label, shape ``(N,)``.
        """
        means, stds = means[:, : self.n_latent], stds[:, : self.n_latent]
        n_cells, width = means.shape
        codes, latents = target.long(), means.double()
        counts = torch.bincount(codes, minlength=self.log_frequencies.numel()).double()
        sums = latents.new_zeros(len(counts), width).index_add_(0, codes, latents)
        class_means = sums / (counts + self.config.label_shrinkage)[:, None]
        residual = latents - class_means[codes]
        within = residual.T @ residual + torch.diag(stds.double().square().sum(dim=0))
        eye = torch.eye(width, dtype=torch.float64)
        self.set_linear_part(class_means, (within + width * eye) / (n_cells + width))
        counts = counts + self.config.label_pseudocount
        self.log_frequencies.copy_((counts / counts.sum()).log())

    def logits(self, u: Tensor, theta: Tensor) -> Tensor:
        """Return log-probabilities of all labels, shape ``(B, K)``, for the arguments of `scores`."""
        return (
            self.log_frequencies + self.scores(u, theta) - 0.5 * self.explained(theta, self.class_means)
        ).log_softmax(dim=-1)

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
    latents, and the number standardised: exact without a network where both are normal together. The variance depends
    on the noise level and not on the cell, so that guidance moves a cell to its number and not into uncertainty.

    Parameters
    ----------
    n_latent
        Number ``D`` of latents to use.
    config
        Settings of the network and the linear part.
    """

    latent_mean: Tensor

    def __init__(self, n_latent: int, config: ClassifierConfig) -> None:
        super().__init__(n_latent, 1, config)
        self.register_buffer("latent_mean", torch.zeros(1, n_latent))
        self.log_factor = nn.Linear(config.embedding_width, 1)
        nn.init.zeros_(self.log_factor.weight)
        nn.init.zeros_(self.log_factor.bias)

    @torch.no_grad()
    def learn(self, means: Tensor, stds: Tensor, target: Tensor) -> None:
        """Estimate mean and covariance of latents, and the covariance of latents and number.

        Parameters
        ----------
        means, stds
            Posterior of each cell's latent, shape ``(N, D)`` or wider.
        target
            Standardised numbers, shape ``(N,)``.
        """
        means, stds = means[:, : self.n_latent], stds[:, : self.n_latent]
        n_cells, width = means.shape
        latent_mean = means.double().mean(dim=0)
        latents = means.double() - latent_mean
        whole = latents.T @ latents + torch.diag(stds.double().square().sum(dim=0))
        covariance_with_target = target.double() @ latents / (n_cells + width)
        self.set_linear_part(
            covariance_with_target[None], (whole + width * torch.eye(width, dtype=torch.float64)) / (n_cells + width)
        )
        self.latent_mean.copy_((latent_mean @ self.basis.cpu().double())[None])

    def moments(self, u: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance, shapes ``(B,)`` and ``()`` or ``(B,)``, for the arguments of `scores`."""
        unexplained = (1.0 - self.explained(theta, self.class_means)[..., 0]).clamp(min=self.config.least_unexplained)
        factor = (theta.cos() * self.log_factor(self.time(theta))[..., 0]).exp()
        mean = self.scores(u, theta)[:, 0] - self.explained(theta, self.latent_mean)[..., 0]
        return mean, unexplained * factor

    def log_prob(self, u: Tensor, theta: Tensor, target: Tensor, *, away: bool = False) -> Tensor:
        """Return the log-density of numbers; see `Classifier.log_prob`."""
        if away:
            msg = "Negative guidance leads away from labels, not from numbers. Guide towards another number instead."
            raise SettingError(msg)
        mean, variance = self.moments(u, theta)
        return -0.5 * ((target - mean).square() / variance + (2.0 * math.pi * variance).log())
