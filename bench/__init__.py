"""Benchmarks against peers, side by side. Imports everything, and nothing imports it."""
