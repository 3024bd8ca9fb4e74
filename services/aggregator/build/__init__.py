"""One day of one resource: its archive found, or built."""
