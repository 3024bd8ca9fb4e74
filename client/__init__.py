"""The `exhaust` command: granting access and preparing the servers."""
