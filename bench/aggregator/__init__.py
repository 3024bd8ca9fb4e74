"""The benchmark of the aggregator, `make bench`: time and memory to turn a day of raw telemetry into a zip."""
