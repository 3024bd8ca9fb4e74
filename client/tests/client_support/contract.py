"""The whole way of a partner by command, which the fake gateway and the real one both have to carry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date


@dataclass(frozen=True)
class Gateway:
    """A gateway that has data of an owner for a range of days.

    Attributes:
        environment: the variables that name the gateway and the key.
        events: that the owner has in this range.
    """

    environment: Mapping[str, str]
    owner: str
    first: date
    last: date
    events: int


def exhaust(gateway: Gateway, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """Run the command with --json, and return its rows."""
    ended = subprocess.run(
        [sys.executable, "-m", "telemetry_exhaust", *arguments, "--json"],
        env={**os.environ, **gateway.environment},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == code, (arguments, ended.returncode, ended.stdout, ended.stderr)
    return [json.loads(line) for line in ended.stdout.splitlines()]


def walk(gateway: Gateway, folder: Path) -> Path:
    """Go the whole way: get, verify, read, ask, and be refused. Return the download."""
    owner = ("--partner", gateway.owner)
    [who] = exhaust(gateway, "whoami", *owner)
    assert (who["key"], who["granted"]) == ("valid", "yes")
    exhaust(gateway, "whoami", "--partner", "org.somebody.else", code=4)
    days = ("--from", str(gateway.first), "--to", str(gateway.last))
    [got] = exhaust(gateway, "get", *owner, *days, "-o", str(folder))
    [again] = exhaust(gateway, "get", *owner, *days, "-o", str(folder))
    assert (got["state"], again["state"], got["request"]) == ("new", "there already", again["request"])
    verified = exhaust(gateway, "verify", got["file"])
    assert {day["verdict"] for day in verified} == {"ok"}
    assert sum(day["events"] for day in verified) == gateway.events > 0
    assert len(exhaust(gateway, "read", got["file"])) == gateway.events
    exhaust(gateway, "get", "--partner", "org.somebody.else", *days, "-o", str(folder / "none"), code=4)
    assert who["account"]["client"]
    assert got["request"] in {row["requestid"] for row in exhaust(gateway, "requests", "--all")}
    exhaust(gateway, "webhooks")
    [listed] = [row for row in exhaust(gateway, "requests", *owner) if row["requestid"] == got["request"]]
    assert listed["tracker"]["status"] == "complete"
    [shown] = exhaust(gateway, "show", got["request"])
    assert shown["size"] == got["bytes"]
    assert exhaust(gateway, "watch", got["request"])[-1]["state"] == "complete"
    exhaust(gateway, "cancel", got["request"], code=5)
    exhaust(gateway, "show", "0b5a2c9e-7d0f-4f4b-9d38-6a1f6a4a1c11", code=2)
    assert {row["verdict"] for row in exhaust(gateway, "doctor", *owner)} == {"ok"}
    exhaust(gateway, "retry", got["request"], code=5)
    exhaust(gateway, "delete", got["request"])
    assert got["request"] not in {row["requestid"] for row in exhaust(gateway, "requests", *owner)}
    exhaust(gateway, "delete", got["request"], code=2)
    return Path(got["file"])


def look_before(gateway: Gateway) -> None:
    """Ask what there is of days that were built before, and what it would cost to ask for them again."""
    owner = ("--partner", gateway.owner)
    days = ("--from", str(gateway.first), "--to", str(gateway.last))
    known = exhaust(gateway, "days", *owner, *days)
    assert sum(day["events"] for day in known if day["built"]) == gateway.events
    [estimated] = exhaust(gateway, "get", *owner, *days, "--estimate")
    assert (estimated["days"]["tobuild"], estimated["days"]["total"]) == (0, len(known))


def keep_whole(gateway: Gateway, folder: Path) -> list[str]:
    """Keep a folder whole from the first day on, and find nothing to do the second time. Return the days' files."""
    arguments = ("sync", str(folder), "--partner", gateway.owner)
    exhaust(gateway, *arguments, "--since", str(gateway.first))
    assert f"{gateway.first}.zip" in [path.name for path in folder.iterdir()]
    assert exhaust(gateway, *arguments) == []
    assert exhaust(gateway, *arguments, "--recheck", "2") == []
    assert {day["verdict"] for day in exhaust(gateway, "verify", str(folder))} == {"ok"}
    return sorted(path.name for path in folder.glob("*.zip"))
