"""The kit that the processes share: pure rules first, then one module per driver. Knows no service."""
