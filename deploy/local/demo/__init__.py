"""The whole exhaust shown on one machine, from raw telemetry to a download that is checked line by line."""
