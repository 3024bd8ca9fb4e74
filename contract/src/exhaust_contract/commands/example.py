"""`exhaust-events example`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust_contract.documents import example
from exhaust_contract.output import show_json

if TYPE_CHECKING:
    from argparse import Namespace


def run(asked: Namespace) -> int:
    """Print an example."""
    show_json(example(asked.kind, asked.variant), indent=2)
    return 0
