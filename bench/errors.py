"""The error of a benchmark."""


class BenchError(Exception):
    """A measurement that failed; the message says what, where, and what to do about it."""
