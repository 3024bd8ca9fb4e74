"""`exhaust-events compat`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exhaust_contract.compatibility import incompatibilities, released, released_versions
from exhaust_contract.documents import folder
from exhaust_contract.output import show
from exhaust_contract.written_events import UnreadableFileError

if TYPE_CHECKING:
    from argparse import Namespace


def run(asked: Namespace) -> int:
    """Hold every released version against the present schemas, or against those of a folder; 1 if one is broken."""
    present = Path(asked.schemas) if asked.schemas else folder()
    broken = 0
    for version in released_versions():
        try:
            found = incompatibilities(released(version), present)
        except (OSError, ValueError, LookupError) as error:
            raise UnreadableFileError(f"{present} holds no schemas of the contract: {error}") from error
        for sentence in found:
            show(f"{version}: {sentence}")
        broken += bool(found)
        if not found:
            show(f"{version}: both ways")
    return 1 if broken else 0
