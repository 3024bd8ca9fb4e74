"""What can go wrong in the demo."""


class DemoError(Exception):
    """A step failed; the message says which call or wait, and why."""
