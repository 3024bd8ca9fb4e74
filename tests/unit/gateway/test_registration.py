"""Who may register."""

import pytest
from pydantic import SecretStr, ValidationError

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.license_keys import Client
from services.gateway.registration import check_registration, require_key_of_client
from services.gateway.settings import LimitSettings

TOKEN = "a registration token"


def refusal(settings: LimitSettings, headers: dict[str, str]) -> ErrorCode:
    with pytest.raises(ExhaustError) as refused:
        check_registration(settings, headers)
    return refused.value.code


def test_registration_is_open_closed_or_for_those_with_the_token() -> None:
    check_registration(LimitSettings(registration="open"), {})
    assert refusal(LimitSettings(registration="closed"), {}) is ErrorCode.AUTHORIZATION_FAILED
    assert not check_registration(LimitSettings(registration="proven"), {"Authorization": f"Bearer {TOKEN}"})
    settings = LimitSettings(registration="token", registration_token=SecretStr(TOKEN))
    assert check_registration(settings, {"Authorization": f"Bearer {TOKEN}"})
    proven = LimitSettings(registration="proven", registration_token=SecretStr(TOKEN))
    assert check_registration(proven, {"Authorization": f"Bearer {TOKEN}"})
    assert not check_registration(proven, {"Authorization": f"Bearer {TOKEN}x"})
    for wrong in ("", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \udce9"):
        assert refusal(settings, {"Authorization": wrong}) is ErrorCode.LOGIN_FAILED


def test_only_a_key_of_the_same_client_registers_another() -> None:
    require_key_of_client(Client(1, "maple", "dashboard"), "maple")
    for shown, code in ((None, ErrorCode.LOGIN_FAILED), (Client(1, "oak", "x"), ErrorCode.AUTHORIZATION_FAILED)):
        with pytest.raises(ExhaustError) as refused:
            require_key_of_client(shown, "maple")
        assert refused.value.code is code


def test_a_token_mode_without_a_token_is_refused_and_a_bad_token_is_not_shown() -> None:
    with pytest.raises(ValidationError, match="EXHAUST_REGISTRATION_TOKEN must be set"):
        LimitSettings(registration="token")
    with pytest.raises(ValidationError) as refused:
        LimitSettings(registration="token", registration_token=SecretStr("tiny secret"))
    assert "tiny secret" not in str(refused.value)
