"""Generators behind the protocol of `benchmarks.protocol`; each is imported only in the process that runs it."""
