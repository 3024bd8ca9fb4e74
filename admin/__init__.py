"""The operators' command `exhaustctl`."""
