"""Figures of the README and the pages, each made by one script from data sets and records."""
