"""The limits of submits, as the settings say them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust.postgres.requests import Limits

if TYPE_CHECKING:
    from services.gateway.settings import LimitSettings


def submit_limits(settings: LimitSettings) -> Limits:
    """Return the limits of the settings."""
    return Limits(
        settings.max_open_requests_per_partner, settings.max_days_built_per_key, settings.max_bytes_built_per_key
    )
