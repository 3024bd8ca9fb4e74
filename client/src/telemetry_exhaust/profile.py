"""Settings of the package: the environment comes before the file of profiles, which only its owner may read."""

from __future__ import annotations

import configparser
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from telemetry_exhaust.errors import AccessError, UsageError
from telemetry_exhaust.keyring_secrets import keyring_secret
from telemetry_exhaust.whole_files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT: Final = "default"
_FOLDER: Final = "telemetry-exhaust"
_FILE: Final = "profiles.ini"
_PRIVATE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_SETTINGS: Final = ("gateway", "username", "partner", "channel", "dataset", "ca_bundle")
KEY: Final = "license_key"
DEFAULT_DATASET: Final = "eks-consumption-raw"


@dataclass(frozen=True)
class Profile:
    """One gateway, and who calls it.

    Attributes:
        gateway: its address.
        key: the license key, a secret.
        key_from: where the key was found, to be shown.
        username: who asks, for the records of the platform.
        partner, channel: whose data is asked for when a call names nobody; "" for nobody.
    """

    name: str
    gateway: str
    key: str = field(repr=False)
    key_from: str
    username: str
    partner: str = ""
    channel: str = ""
    dataset: str = DEFAULT_DATASET
    ca_bundle: str | None = None


def load_profile(name: str | None = None, environment: Mapping[str, str] | None = None) -> Profile:
    """Return a profile: EXHAUST_GATEWAY, EXHAUST_LICENSE_KEY and the like, then the file, then the keyring.

    Args:
        name: of the profile; without it EXHAUST_PROFILE, else `default`.
        environment: in place of that of this process.

    Raises:
        UsageError: there is no such profile, or the file cannot be used.
        AccessError: there is no license key.
    """
    variables = os.environ if environment is None else environment
    chosen = name or variables.get("EXHAUST_PROFILE") or DEFAULT
    stored = _stored(profiles_file(variables), chosen)
    if stored is None and (name or variables.get("EXHAUST_PROFILE")):
        raise UsageError(f"there is no profile {chosen}; make it with `exhaust login --profile {chosen}`")
    settings = {
        setting: variables.get(f"EXHAUST_{setting.upper()}") or (stored or {}).get(setting, "") for setting in _SETTINGS
    }
    if not settings["gateway"]:
        raise UsageError("no gateway is known; run `exhaust login --gateway ADDRESS`, or set EXHAUST_GATEWAY")
    key, key_from = _key(variables, stored or {}, chosen)
    return Profile(
        name=chosen,
        gateway=checked_gateway(settings["gateway"]),
        key=key,
        key_from=key_from,
        username=settings["username"] or _login_name(),
        partner=settings["partner"],
        channel=settings["channel"],
        dataset=settings["dataset"] or DEFAULT_DATASET,
        ca_bundle=settings["ca_bundle"] or None,
    )


def save_profile(name: str, settings: Mapping[str, str], environment: Mapping[str, str] | None = None) -> Path:
    """Write a profile into the file, which only its owner may read, and return the file.

    Raises:
        UsageError: the file cannot be written.
    """
    path = profiles_file(os.environ if environment is None else environment)
    parser = _read(path)
    parser[name] = {setting: value for setting, value in settings.items() if value}
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, _written(parser), mode=_PRIVATE)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return path


def profiles_file(environment: Mapping[str, str]) -> Path:
    """Return where the file of profiles is: EXHAUST_PROFILES_FILE, or the folder of the user's settings."""
    if named := environment.get("EXHAUST_PROFILES_FILE"):
        return Path(named)
    base = environment.get("XDG_CONFIG_HOME") or environment.get("APPDATA")
    return (Path(base) if base else Path.home() / ".config") / _FOLDER / _FILE


def checked_gateway(address: str) -> str:
    """Return the address of a gateway without a slash at its end.

    Raises:
        UsageError: it is no http or https address.
    """
    if not address.startswith(("https://", "http://")):
        raise UsageError(f"{address} is no address of a gateway; it looks like https://exhaust.example.org")
    return address.rstrip("/")


def _stored(path: Path, name: str) -> dict[str, str] | None:
    parser = _read(path)
    return dict(parser[name]) if parser.has_section(name) else None


def _read(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        mode = path.stat().st_mode
        if os.name == "posix" and mode & _OTHERS:
            raise UsageError(f"{path} may be read by others, and holds a secret; run `chmod 600 {path}`")
        parser.read_string(path.read_text("utf-8"))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (configparser.Error, UnicodeError) as error:
        raise UsageError(f"{path} is damaged; remove it, and run `exhaust login`") from error
    return parser


def _written(parser: configparser.ConfigParser) -> bytes:
    sections = (
        "".join([f"[{name}]\n", *(f"{key} = {value}\n" for key, value in parser[name].items())])
        for name in parser.sections()
    )
    return "\n".join(sections).encode()


def _key(variables: Mapping[str, str], stored: Mapping[str, str], profile: str) -> tuple[str, str]:
    if key := variables.get("EXHAUST_LICENSE_KEY", "").strip():
        return key, "EXHAUST_LICENSE_KEY"
    if named := variables.get("EXHAUST_LICENSE_KEY_FILE"):
        try:
            return Path(named).read_text("utf-8").strip(), named
        except (OSError, UnicodeError) as error:
            raise AccessError(f"EXHAUST_LICENSE_KEY_FILE {named} cannot be read; name a file with the key") from error
    if key := stored.get(KEY, ""):
        return key, "the file of profiles"
    if key := keyring_secret(profile) or "":
        return key, "the keyring"
    raise AccessError("there is no license key; run `exhaust login`, or set EXHAUST_LICENSE_KEY")


def _login_name() -> str:
    for variable in ("LOGNAME", "USER", "USERNAME"):
        if name := os.environ.get(variable, "").strip():
            return name
    return "exhaust"
