"""The `exhaustctl` command: what operators do by hand."""
