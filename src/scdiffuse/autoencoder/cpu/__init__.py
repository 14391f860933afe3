"""Compiled loops of the autoencoder on the CPU: negative log-likelihood, counts drawn, binomial thinning."""
