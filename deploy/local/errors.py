"""What can go wrong with a local stack."""


class StackError(Exception):
    """The stack could not do what was asked; the message says what, where, and what to do about it."""
