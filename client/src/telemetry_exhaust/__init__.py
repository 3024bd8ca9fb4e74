"""Telemetry Exhaust for partners: your events as files, as a folder that stays whole, and in dataframes.

To import this package costs nothing: what it offers is loaded when it is first named.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from telemetry_exhaust.client import Client
    from telemetry_exhaust.errors import (
        AccessError,
        DaysMissingError,
        DownloadError,
        ExhaustError,
        RequestFailedError,
        StillRunningError,
        TimedOutError,
        UnknownOperationError,
        UsageError,
    )
    from telemetry_exhaust.export import Export, ExportDay
    from telemetry_exhaust.resource_ids import resource_id
    from telemetry_exhaust.status import Status

__version__: Final = "0.1.0"
_HOMES: Final = {
    "Client": "client",
    "Export": "export",
    "ExportDay": "export",
    "Status": "status",
    "resource_id": "resource_ids",
}
__all__ = [
    "AccessError",
    "Client",
    "DaysMissingError",
    "DownloadError",
    "ExhaustError",
    "Export",
    "ExportDay",
    "RequestFailedError",
    "Status",
    "StillRunningError",
    "TimedOutError",
    "UnknownOperationError",
    "UsageError",
    "__version__",
    "resource_id",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
