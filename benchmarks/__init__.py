"""Benchmarks: data sets x generators x seeds, each run in its own process and scored by `scdiffuse.evaluate`."""
