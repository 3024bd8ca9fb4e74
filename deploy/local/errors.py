"""The error of a local stack."""


class StackError(Exception):
    """A request that the stack could not fulfil; the message says what, where, and what to do about it."""
