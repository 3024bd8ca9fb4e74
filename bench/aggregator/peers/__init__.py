"""The peers and the ceilings. Each is a process that does one job: `python -m bench.aggregator.peers.<name>`."""
