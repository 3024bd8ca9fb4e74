"""The sentences in which the command says why it has done nothing."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_settings import SettingsError

from exhaust.errors import ConfigurationError, ErrorCode, ExhaustError
from exhaust.violations import settings_errors


def sentences_of(error: Exception) -> list[str]:
    """Return what to say of an error; nothing of a defect."""
    match error:
        case ExhaustError():
            return [error.message]
        case ConfigurationError():
            return [str(error)]
        case ValidationError() | SettingsError():
            return list(settings_errors(error))
    return []


def exit_code(error: Exception) -> int:
    """Return 1 for what may work later, 2 for what was asked in a wrong way."""
    away = isinstance(error, ExhaustError) and error.code is ErrorCode.SERVICE_UNAVAILABLE
    return 1 if away else 2
