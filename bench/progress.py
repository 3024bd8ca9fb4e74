"""The progress messages of a benchmark."""

import sys


def report_progress(what: str) -> None:
    """Print a progress message on standard error."""
    print(f"bench: {what}", file=sys.stderr, flush=True)
