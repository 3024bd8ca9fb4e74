"""Alerts and an example configuration for Prometheus."""
