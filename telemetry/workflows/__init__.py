"""The standard workflows: the order in which apps, portals, editors and services send their events."""
