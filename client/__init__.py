"""The `exhaust` command: what partners do by hand."""
