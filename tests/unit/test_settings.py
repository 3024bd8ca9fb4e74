import json
from datetime import timedelta

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from exhaust.http.connections import ConnectionLimits
from exhaust.settings import LicenseKeySettings, PostgresSettings, ServiceTokenSettings
from exhaust.violations import settings_errors
from services.gateway.settings import GatewaySettings

CANARY = "canary-4711"
GATEWAY = {
    "PORT": "1",
    "INTERNAL_PORT": "2",
    "STATUS_URL": "http://status.test",
    "POSTGRES_DSN": "postgresql://u@h/d",
    "KAFKA_BOOTSTRAP": "kafka.test:9092",
    "S3_ENDPOINT": "http://s3.test",
    "S3_ACCESS_KEY": "key",
    "S3_SECRET_KEY": "secret",
    "S3_RAW_BUCKET": "raw",
    "S3_EXHAUST_BUCKET": "exhaust",
    "SERVICE_TOKEN": "a" * 16,
    "LICENSE_KEY_PEPPERS": json.dumps({"1": "a" * 32}),
}


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of a gateway, to be changed."""
    for name, value in GATEWAY.items():
        monkeypatch.setenv(f"EXHAUST_{name}", value)
    return monkeypatch


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXHAUST_POSTGRES_DSN", f"postgresql://u:{CANARY}@h/d")
    settings = PostgresSettings()
    assert CANARY in settings.postgres_dsn.get_secret_value()
    assert CANARY not in f"{settings} {settings!r} {settings.model_dump()}"


@pytest.mark.parametrize(
    ("variable", "kind"),
    [("EXHAUST_SERVICE_TOKEN", ServiceTokenSettings), ("EXHAUST_LICENSE_KEY_PEPPERS", LicenseKeySettings)],
)
def test_a_refused_secret_is_not_printed(
    variable: str, kind: type[ServiceTokenSettings | LicenseKeySettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, CANARY if "TOKEN" in variable else f'{{"1": "{CANARY}"}}')
    with pytest.raises(ValidationError) as refused:
        kind()
    assert CANARY not in str(refused.value)


def test_peppers_have_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXHAUST_LICENSE_KEY_PEPPERS", json.dumps({"1": "a" * 32, "2": "b" * 32}))
    assert set(LicenseKeySettings().license_key_peppers) == {1, 2}


def test_behind_proxies_an_address_has_no_maximum_of_connections(gateway: pytest.MonkeyPatch) -> None:
    assert GatewaySettings().connection_limits() == ConnectionLimits(10_000, 256, timedelta(seconds=10))
    for name, value in (("MAX_CONNECTIONS", "5"), ("HEADER_TIMEOUT", "PT1S"), ("TRUSTED_PROXIES", "1")):
        gateway.setenv(f"EXHAUST_{name}", value)
    assert GatewaySettings().connection_limits() == ConnectionLimits(5, None, timedelta(seconds=1))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_CONNECTIONS", "0"),
        ("MAX_CONNECTIONS_PER_ADDRESS", "-1"),
        ("HEADER_TIMEOUT", "PT0S"),
        ("HEADER_TIMEOUT", "PT30S"),
    ],
)
def test_limits_that_would_shut_everybody_out_are_refused(gateway: pytest.MonkeyPatch, name: str, value: str) -> None:
    gateway.setenv(f"EXHAUST_{name}", value)
    with pytest.raises(ValidationError):
        GatewaySettings()


def test_origins_are_a_list_and_none_by_default(gateway: pytest.MonkeyPatch) -> None:
    assert GatewaySettings().cors_origins == frozenset()
    named = ["https://portal.example.org", "http://localhost:3000", "http://[::1]:8080"]
    gateway.setenv("EXHAUST_CORS_ORIGINS", json.dumps(named))
    assert GatewaySettings().cors_origins == set(named)


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "null", "", "portal.example.org", "https://", "ftp://portal.example.org", "https://*.example.org"),
        *("https://portal.example.org/", "https://portal.example.org/a", "https://Portal.example.org"),
        *("https://portal.example.org:443", "http://portal.example.org:80", "https://u@portal.example.org"),
        *("https://portal.example.org:99999", "https://portal.example.org?a", " https://portal.example.org"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(gateway: pytest.MonkeyPatch, origin: str) -> None:
    gateway.setenv("EXHAUST_CORS_ORIGINS", json.dumps([origin]))
    with pytest.raises(ValidationError):
        GatewaySettings()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SERVICE_TOKEN", CANARY, "EXHAUST_SERVICE_TOKEN: Value should have at least 16 items"),
        ("PORT", CANARY, "EXHAUST_PORT: Input should be a valid integer"),
        ("CORS_ORIGINS", f'["http://{CANARY}/"]', "EXHAUST_CORS_ORIGINS (at 0): Value error, an origin is written"),
        ("CORS_ORIGINS", CANARY, "EXHAUST_CORS_ORIGINS: this is no JSON; set it in the environment"),
        ("LICENSE_KEY_PEPPERS", CANARY, "EXHAUST_LICENSE_KEY_PEPPERS: this is no JSON; set it in the environment"),
        ("LICENSE_KEY_PEPPERS", f'{{"1": "{CANARY}"}}', "EXHAUST_LICENSE_KEY_PEPPERS: Value error, pepper 1 must have"),
        ("S3_SECRET_KEY", "", "EXHAUST_S3_SECRET_KEY: Value should have at least 1 item"),
        ("REGISTRATION", "token", "Value error, EXHAUST_REGISTRATION is token, so"),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence(
    gateway: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    gateway.setenv(f"EXHAUST_{name}", value)
    try:
        GatewaySettings()
    except (ValidationError, SettingsError) as error:
        [told] = settings_errors(error)
    else:
        pytest.fail("it was accepted")
    assert told.startswith(sentence)
    assert CANARY not in told


@pytest.mark.parametrize("name", ["S3_ACCESS_KEY", "S3_SECRET_KEY"])
def test_one_s3_key_without_the_other_is_refused(gateway: pytest.MonkeyPatch, name: str) -> None:
    gateway.delenv(f"EXHAUST_{name}")
    with pytest.raises(ValidationError) as refused:
        GatewaySettings()
    assert list(settings_errors(refused.value)) == [
        "Value error, set both EXHAUST_S3_ACCESS_KEY and EXHAUST_S3_SECRET_KEY, or neither of them"
    ]


def test_both_s3_keys_may_be_left_out(gateway: pytest.MonkeyPatch) -> None:
    for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY"):
        gateway.delenv(f"EXHAUST_{name}")
    settings = GatewaySettings()
    assert settings.s3_access_key is None
    assert settings.s3_secret_key is None
