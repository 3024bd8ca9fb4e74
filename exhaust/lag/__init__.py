"""Lag, told as work: what waits in each stage, for how long, and what is the matter with it."""
