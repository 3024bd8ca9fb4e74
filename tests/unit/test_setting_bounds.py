"""Every setting has bounds: both are accepted; what lies beyond is refused in a sentence that names the variable."""

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from exhaust.settings import OwnerSettings, SettingsGroup, TopicSettings
from exhaust.violations import settings_errors
from services.gateway.settings import GatewaySettings
from tests.support.setting_bounds import PROCESSES, bounds_of, ends, variable, written

GROUPS: dict[str, type[SettingsGroup]] = PROCESSES | {"topics": TopicSettings, "owner": OwnerSettings}
NEEDED = {
    "PORT": "1",
    "INTERNAL_PORT": "2",
    "STATUS_URL": "http://status.test",
    "POSTGRES_DSN": "postgresql://u@h/d",
    "POSTGRES_OWNER_DSN": "postgresql://u@h/d",
    "KAFKA_BOOTSTRAP": "kafka.test:9092",
    "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "KAFKA_SASL_USERNAME": "user",
    "KAFKA_SASL_PASSWORD": "password",
    "S3_ENDPOINT": "http://s3.test",
    "S3_ACCESS_KEY": "key",
    "S3_SECRET_KEY": "secret",
    "S3_RAW_BUCKET": "raw",
    "S3_EXHAUST_BUCKET": "exhaust",
    "SERVICE_TOKEN": "a" * 16,
    "LICENSE_KEY_PEPPERS": json.dumps({"1": "a" * 32}),
}
COLLECTIONS = {"license_key_peppers", "cors_origins", "console_proxies", "webhook_keys", "webhook_networks"}
ORIGINS = json.dumps([f"https://{place}.example.org" for place in range(1001)])
PEPPERS = json.dumps({str(version): "a" * 32 for version in range(17)})


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment in which every process would start, to be changed."""
    for name, value in NEEDED.items():
        monkeypatch.setenv(f"EXHAUST_{name}", value)
    return monkeypatch


def settings() -> list[tuple[type[SettingsGroup], str, FieldInfo]]:
    """Every setting once, with a group that has it."""
    found = {name: (group, name, field) for group in GROUPS.values() for name, field in group.model_fields.items()}
    return [found[name] for name in sorted(found)]


def bounded() -> list[Any]:
    """Those with bounds; of the collections, what lies beyond is told below."""
    return [
        pytest.param(*setting, id=setting[1])
        for setting in settings()
        if bounds_of(setting[2]) is not None and setting[1] not in COLLECTIONS
    ]


def beyond(field: FieldInfo) -> list[str]:
    """Values next to a setting's bounds, on the wrong side."""
    bounds = bounds_of(field)
    assert bounds is not None
    if bounds.in_length:
        return ["a" * (bounds.least - 1), "a" * (bounds.greatest + 1)]
    step = timedelta(milliseconds=1) if isinstance(bounds.least, timedelta) else 1
    return [written(bounds.least - step), written(bounds.greatest + step)]


@pytest.mark.parametrize(("group", "name", "field"), [pytest.param(*each, id=each[1]) for each in settings()])
def test_both_ends_of_a_setting_are_accepted(
    environment: pytest.MonkeyPatch, group: type[SettingsGroup], name: str, field: FieldInfo
) -> None:
    for value in ends(name, field) or (NEEDED.get(name.upper()),):
        if value is not None:
            environment.setenv(variable(name), value)
        assert getattr(group(), name) is not None or not field.is_required()


@pytest.mark.parametrize(("group", "name", "field"), bounded())
def test_a_value_beyond_a_bound_is_refused_by_name(
    environment: pytest.MonkeyPatch, group: type[SettingsGroup], name: str, field: FieldInfo
) -> None:
    for value in beyond(field):
        environment.setenv(variable(name), value)
        with pytest.raises(ValidationError) as refused:
            group()
        [sentence] = settings_errors(refused.value)
        assert sentence.startswith(f"{variable(name)}: ")


@pytest.mark.parametrize(
    ("process", "name", "value", "sentence"),
    [
        # A wait above the handler's deadline was answered with the deadline's words, not with those of the wait.
        ("gateway", "SYNC_TIMEOUT", "PT41S", "Input should be less than or equal to 40 seconds"),
        # S3 refuses to sign a longer link, so that no status of a finished request could be read.
        ("status", "LINK_LIFETIME", "P7DT1S", "Input should be less than or equal to 7 days"),
        ("gateway", "POSTGRES_DSN", "mysql://h/d", "Value error, a database is written postgresql://"),
        ("gateway", "KAFKA_BOOTSTRAP", "kafka.test:port", "Value error, brokers are written host:port"),
        ("gateway", "KAFKA_BOOTSTRAP", "a:1,,b:2", "Value error, brokers are written host:port"),
        ("gateway", "S3_ENDPOINT", "s3.test:9000", "Value error, a store is written https://host"),
        ("status", "S3_EXHAUST_BUCKET", "a/b/c", "String should match pattern"),
        ("status", "S3_REGION", "eu west", "String should match pattern"),
        ("status", "SERVICE_TOKEN", "a" * 16 + "\n", "Value error, a token has printable ASCII characters alone"),
        ("gateway", "REGISTRATION_TOKEN", "é" * 16, "Value error, a token has printable ASCII characters alone"),
        ("gateway", "CORS_ORIGINS", ORIGINS, "Frozenset should have at most 1000 items"),
        ("status", "WEBHOOK_KEYS", json.dumps({"1": "a" * 31}), "Value error, webhook key 1 must have at least"),
        ("gateway", "LICENSE_KEY_PEPPERS", "{}", "Dictionary should have at least 1 item"),
        ("gateway", "LICENSE_KEY_PEPPERS", PEPPERS, "Dictionary should have at most 16 items"),
        ("gateway", "LICENSE_KEY_PEPPERS", json.dumps({"-1": "a" * 32}), "Value error, a pepper's version is a number"),
        ("gateway", "LICENSE_KEY_PEPPERS", json.dumps({"1": "a" * 1025}), "Value error, pepper 1 must have at most"),
    ],
)
def test_a_setting_that_would_break_the_process_is_refused(
    environment: pytest.MonkeyPatch, process: str, name: str, value: str, sentence: str
) -> None:
    environment.setenv(f"EXHAUST_{name}", value)
    with pytest.raises(ValidationError) as refused:
        PROCESSES[process]()
    [told] = settings_errors(refused.value)
    assert told.startswith(f"EXHAUST_{name}: {sentence}")


def test_two_listeners_need_two_ports(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("EXHAUST_INTERNAL_PORT", NEEDED["PORT"])
    with pytest.raises(ValidationError) as refused:
        PROCESSES["gateway"]()
    assert list(settings_errors(refused.value)) == [
        "Value error, EXHAUST_INTERNAL_PORT must be another port than EXHAUST_PORT"
    ]


@pytest.mark.parametrize(
    "brokers", ["kafka.test", "kafka.test:9092", "127.0.0.1:1,127.0.0.1:2", "[::1]:9092", "a:1, b:2"]
)
def test_one_broker_or_several_are_accepted(environment: pytest.MonkeyPatch, brokers: str) -> None:
    environment.setenv("EXHAUST_KAFKA_BOOTSTRAP", brokers)
    assert TopicSettings().kafka_bootstrap == brokers


@pytest.mark.parametrize(
    "changes",
    [
        {"SASL_USERNAME": None},
        {"SASL_PASSWORD": None},
        {"SASL_USERNAME": None, "SASL_PASSWORD": None},
        {"SECURITY_PROTOCOL": "SSL"},
        {"SECURITY_PROTOCOL": None},
    ],
)
def test_credentials_of_kafka_come_together_and_with_sasl(
    environment: pytest.MonkeyPatch, changes: dict[str, str | None]
) -> None:
    assert TopicSettings().kafka_sasl_username == "user"
    for name, value in changes.items():
        if value is None:
            environment.delenv(f"EXHAUST_KAFKA_{name}")
        else:
            environment.setenv(f"EXHAUST_KAFKA_{name}", value)
    with pytest.raises(ValidationError, match="set EXHAUST_KAFKA_SASL_USERNAME and EXHAUST_KAFKA_SASL_PASSWORD when"):
        TopicSettings()


def test_the_former_name_of_a_setting_is_accepted(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("EXHAUST_SYNC_PATIENCE", "PT7S")
    assert GatewaySettings().sync_timeout == timedelta(seconds=7)
    environment.setenv("EXHAUST_SYNC_TIMEOUT", "PT8S")
    assert GatewaySettings().sync_timeout == timedelta(seconds=8)
