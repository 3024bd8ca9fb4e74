"""A demonstration on one machine, from raw telemetry to a download that is checked line by line."""
