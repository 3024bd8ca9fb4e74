"""The error of the demo."""


class DemoError(Exception):
    """A failed step; the message names the call or wait, and the reason."""
