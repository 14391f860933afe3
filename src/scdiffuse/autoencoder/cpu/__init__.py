"""Compiled loops of the autoencoder on the CPU: negative log-likelihood, drawing of counts, binomial thinning."""
