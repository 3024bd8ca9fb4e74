"""Handlers of the internal listener: the documented v1 operations, and an operator's."""
