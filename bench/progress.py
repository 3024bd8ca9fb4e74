"""What a benchmark tells while it runs."""

import sys


def tell(what: str) -> None:
    """Progress, for who waits."""
    print(f"bench: {what}", file=sys.stderr, flush=True)
