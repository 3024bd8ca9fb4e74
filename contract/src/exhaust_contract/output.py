"""What the command writes."""

from __future__ import annotations

import json
import sys
from typing import Any


def show(text: str) -> None:
    """Write a line to the standard output."""
    print(text)


def show_json(document: Any, indent: int | None = None) -> None:
    """Write a JSON document to the standard output."""
    print(json.dumps(document, indent=indent))


def tell(sentence: str) -> None:
    """Write a sentence for people to the standard error."""
    print(sentence, file=sys.stderr)
