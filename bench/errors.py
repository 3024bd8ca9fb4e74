"""What can go wrong with a benchmark."""


class BenchError(Exception):
    """It could not be measured; the message says what, where, and what to do about it."""
