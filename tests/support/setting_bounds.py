"""The least and the greatest value of every setting, read from the settings themselves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args, get_origin
from zoneinfo import ZoneInfo

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from exhaust.settings import MAX_PEPPER_LENGTH, MAX_PEPPER_VERSION, MIN_PEPPER_LENGTH
from services.aggregator.settings import AggregatorSettings
from services.console.settings import ConsoleSettings
from services.gateway.settings import GatewaySettings
from services.status.settings import StatusSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exhaust.settings import SettingsGroup

PROCESSES: Final[dict[str, type[SettingsGroup]]] = {
    "gateway": GatewaySettings,
    "aggregator": AggregatorSettings,
    "status": StatusSettings,
    "console": ConsoleSettings,
}
# Where this process and its servers are, and as whom it calls them: the place decides these, not a range.
PLACES: Final = frozenset(
    {
        *("host", "port", "internal_port", "status_url", "postgres_dsn", "postgres_owner_dsn", "kafka_bootstrap"),
        *("catalogue", "token_issuers", "s3_endpoint", "s3_access_key", "s3_secret_key", "s3_region"),
        *("s3_raw_bucket", "s3_exhaust_bucket", "console_prefix", "runbook_base"),
        *("postgres_operator_dsn", "console_token_issuers", "console_loopback_role"),
        *("portal_issuer", "portal_authorization_url", "portal_token_url"),
        *("kafka_security_protocol", "kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password"),
    }
)
_DURATION: Final = TypeAdapter(timedelta)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The ends of a setting's range, as the model knows them.

    Attributes:
        in_length: they are lengths of a text or a collection.
    """

    least: Any
    greatest: Any
    in_length: bool = False


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return f"EXHAUST_{field.upper()}"


def bounds_of(field: FieldInfo) -> Bounds | None:
    """A setting's bounds; None when it has not both."""
    found = list(_metadata(field))
    for lower, upper in ((Ge, Le), (MinLen, MaxLen)):
        least = [constraint for constraint in found if isinstance(constraint, lower)]
        greatest = [constraint for constraint in found if isinstance(constraint, upper)]
        if least and greatest:
            in_length = lower is MinLen
            name = ("min_length", "max_length") if in_length else ("ge", "le")
            return Bounds(getattr(least[0], name[0]), getattr(greatest[0], name[1]), in_length)
    return None


def written(value: object) -> str:
    """A value as it stands in the environment."""
    return str(_DURATION.dump_python(value, mode="json")) if isinstance(value, timedelta) else str(value)


def ends(name: str, field: FieldInfo) -> tuple[str, str] | None:
    """The least and the greatest value of a setting, for the environment; None when its place decides it."""
    if name in PLACES:
        return None
    if name in _MADE_UP:
        return _MADE_UP[name]
    choices = get_args(field.annotation)
    if get_origin(field.annotation) is Literal:
        return choices[0], choices[-1]
    bounds = bounds_of(field)
    assert bounds is not None, f"{name} has no bounds"
    if bounds.in_length:
        return "a" * bounds.least, "a" * bounds.greatest
    return written(bounds.least), written(bounds.greatest)


def _metadata(field: FieldInfo) -> Iterator[object]:
    """The field's constraints, and those of what it may be besides None."""
    yield from field.metadata
    for choice in get_args(field.annotation):
        if get_origin(choice) is Annotated:
            for note in choice.__metadata__:
                yield from note.metadata if isinstance(note, FieldInfo) else (note,)


def _peppers(count: int, length: int) -> str:
    return json.dumps({str(MAX_PEPPER_VERSION - place): "p" * length for place in range(count)})


def _made_up() -> dict[str, tuple[str, str]]:
    """Values of settings that are more than a number, a duration or a text."""
    fields = GatewaySettings.model_fields
    peppers, origins = bounds_of(fields["license_key_peppers"]), bounds_of(fields["cors_origins"])
    proxies = bounds_of(ConsoleSettings.model_fields["console_proxies"])
    assert proxies is not None
    assert peppers is not None
    assert origins is not None
    keys, networks = bounds_of(fields["webhook_keys"]), bounds_of(fields["webhook_networks"])
    assert keys is not None
    assert networks is not None
    assert fields["day_zone"].annotation is ZoneInfo
    return {
        "license_key_peppers": (
            _peppers(peppers.least, MIN_PEPPER_LENGTH),
            _peppers(peppers.greatest, MAX_PEPPER_LENGTH),
        ),
        "webhook_keys": (
            _peppers(keys.least, MIN_PEPPER_LENGTH),
            _peppers(keys.greatest, MAX_PEPPER_LENGTH),
        ),
        "webhook_networks": (
            json.dumps([f"10.{place}.0.0/16" for place in range(networks.least)]),
            json.dumps([f"10.{place}.0.0/16" for place in range(networks.greatest)]),
        ),
        "cors_origins": (
            json.dumps([f"https://{place}.example.org" for place in range(origins.least)]),
            json.dumps([f"https://{place}.example.org" for place in range(origins.greatest)]),
        ),
        "console_proxies": (
            json.dumps([f"192.0.2.{place}" for place in range(proxies.least)]),
            json.dumps([f"192.0.2.{place}" for place in range(proxies.greatest)]),
        ),
        "day_zone": ("Etc/GMT+12", "Pacific/Kiritimati"),  # where a day begins last, and first
    }


_MADE_UP: Final = _made_up()
