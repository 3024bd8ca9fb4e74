"""How fast, and in how much memory, the aggregator turns a day of raw telemetry into a zip: `make bench`."""
