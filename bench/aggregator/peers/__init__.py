"""The peers and the ceilings, each a process that does one job: `python -m bench.aggregator.peers.<name>`."""
