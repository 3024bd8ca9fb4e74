"""The command `exhaustctl` as an operator uses it in a pipe, within the process of the tests."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from admin.command import main

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from exhaust.settings import S3RawBucketSettings


@dataclass(frozen=True)
class Done:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]


@dataclass(frozen=True)
class Command:
    """The command on the servers of the tests, its output piped."""

    capsys: pytest.CaptureFixture[str]

    @classmethod
    def on_database(
        cls,
        dsn: SecretStr,
        capsys: pytest.CaptureFixture[str],
        environment: pytest.MonkeyPatch,
        peppers: Mapping[int, SecretStr] | None = None,
    ) -> Command:
        environment.setenv("EXHAUST_POSTGRES_OWNER_DSN", dsn.get_secret_value())
        if peppers:
            written = json.dumps({str(version): pepper.get_secret_value() for version, pepper in peppers.items()})
            environment.setenv("EXHAUST_LICENSE_KEY_PEPPERS", written)
        capsys.readouterr()
        return cls(capsys)

    async def run(self, *arguments: str) -> Done:
        def call() -> int:
            with pytest.raises(SystemExit) as ended:
                main(arguments)
            return ended.value.code if isinstance(ended.value.code, int) else 0

        self.capsys.readouterr()  # what was logged before
        # In a thread: the command has an event loop of its own.
        code = await asyncio.to_thread(call)
        out, err = self.capsys.readouterr()
        return Done(code, out, err)

    async def good(self, *arguments: str) -> Done:
        done = await self.run(*arguments)
        assert done.code == 0, done
        return done


def use_store(settings: S3RawBucketSettings, environment: pytest.MonkeyPatch) -> None:
    """Let the command work on this store."""
    for name, value in settings.model_dump().items():
        if value is not None:
            written = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
            environment.setenv(f"EXHAUST_{name.upper()}", written)
