"""Kafka's own command for consumer groups: what it says of lag is what ours has to say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy.local.addresses import KAFKA_MECHANISM, KAFKA_PROTOCOL
from deploy.local.folder import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local.stack import Stack

COMMAND = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Line:
    """A line of what the command tells of a group: a partition. A dash is None."""

    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int | None


@dataclass(frozen=True, slots=True)
class KafkaTools:
    """The command, as the user with all rights."""

    stack: Stack
    folder: Path

    async def describe(self, group: str) -> list[Line]:
        told = await self._run("--describe", "--group", group)
        rows = [line.split() for line in told.splitlines()]
        return sorted(
            (
                Line(row[1], int(row[2]), _number(row[3]), int(row[4]), _number(row[5]))
                for row in rows
                if _is_of(row, group)
            ),
            key=lambda line: (line.topic, line.partition),
        )

    async def set_back(self, group: str, topic: str, offset: int) -> None:
        """Sets the committed offsets of a group without members."""
        where = ("--group", group, "--topic", topic)
        await self._run(*where, "--reset-offsets", "--to-offset", str(offset), "--execute")

    async def _run(self, *arguments: str) -> str:
        login = self.folder / "login.properties"
        jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        write_private(
            login,
            f"security.protocol={KAFKA_PROTOCOL}\nsasl.mechanism={KAFKA_MECHANISM}\n"
            f'sasl.jaas.config={jaas} username="{self.stack.kafka_username}" password="{self.stack.kafka_password}";\n',
        )
        where = ("--bootstrap-server", self.stack.kafka, "--command-config", str(login))
        process = await asyncio.create_subprocess_exec(
            *("java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{self.stack.kafka_home}/*"),
            *(COMMAND, *where, *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(TIMEOUT_S):
            out, err = await process.communicate()
        assert process.returncode == 0, (out, err)
        return out.decode()


def _is_of(row: list[str], group: str) -> bool:
    return len(row) > 5 and row[0] == group


def _number(text: str) -> int | None:
    return None if text == "-" else int(text)
