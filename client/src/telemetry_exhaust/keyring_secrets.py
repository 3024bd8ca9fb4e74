"""License keys in the keyring of the user's desktop, where the extra `keyring` is installed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Final

_SERVICE: Final = "telemetry-exhaust"


def keyring_secret(profile: str) -> str | None:
    """Return the license key of a profile; None when there is none, or no keyring that works."""
    keyring = _keyring()
    if keyring is None:
        return None
    try:
        found = keyring.get_password(_SERVICE, profile)
    except keyring.errors.KeyringError:
        return None
    return str(found) if found else None


def keep_in_keyring(profile: str, key: str) -> bool:
    """Store a license key, and return False when there is no keyring that works."""
    keyring = _keyring()
    if keyring is None:
        return False
    try:
        keyring.set_password(_SERVICE, profile, key)
    except keyring.errors.KeyringError:
        return False
    return True


def _keyring() -> Any:
    if importlib.util.find_spec("keyring") is None:
        return None
    keyring = importlib.import_module("keyring")
    importlib.import_module("keyring.errors")
    return keyring
