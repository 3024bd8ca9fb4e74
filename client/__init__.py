"""The `exhaust` command: keys, grants, the audit, and preparing the servers."""
