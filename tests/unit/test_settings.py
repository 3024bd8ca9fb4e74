import json

import pytest
from pydantic import ValidationError

from exhaust.settings import LicenseKeySettings, PostgresSettings, ServiceTokenSettings

CANARY = "canary-4711"


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
