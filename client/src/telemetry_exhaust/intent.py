"""Idempotency-Keys that follow from what is wanted: who asks again, also after a crash, gets the request of before."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemetry_exhaust.api import Wanted
    from telemetry_exhaust.profile import Profile


def idempotency_key(profile: Profile, wanted: Wanted) -> str:
    """Return the key of an intent."""
    key = hashlib.sha256(profile.key.encode()).hexdigest()
    named = [profile.gateway, key, profile.username, wanted.dataset, wanted.owner, str(wanted.first), str(wanted.last)]
    intent = json.dumps([*named, sorted(wanted.tags)])
    return f"exhaust-{hashlib.sha256(intent.encode()).hexdigest()[:40]}"
