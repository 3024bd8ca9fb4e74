"""The partners' command `exhaust`."""
