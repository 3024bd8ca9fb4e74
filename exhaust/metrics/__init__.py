"""The metrics of all processes: one catalogue, and the registry that makes them from it."""
