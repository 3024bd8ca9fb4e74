"""The kit that at least two processes share. It knows no service."""
