"""The address of the S3 server, for processes that may not need a client of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Store:
    """An S3 server and who may use it."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
