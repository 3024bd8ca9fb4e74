"""The commands of operators and partners, run as they are installed."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.local.stack import Stack


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended."""

    code: int
    output: str
    errors: str

    @property
    def text(self) -> str:
        return self.output + self.errors


async def run(
    name: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    memory: int | None = None,
    within: float = 120,
) -> Ran:
    """Run a console script of this environment.

    Args:
        name: of the script.
        arguments: its own.
        environment: variables beside those of this process.
        memory: bytes of address space that it may have.
        within: seconds after which it is killed.
    """
    program = [str(Path(sys.executable).with_name(name)), *arguments]
    if memory is not None:
        program = ["prlimit", f"--as={memory}", *program]
    process = await asyncio.create_subprocess_exec(
        *program,
        env=os.environ | dict(environment or {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), within)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return Ran(process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace"))


async def operate(stack: Stack, *arguments: str, **environment: str) -> Ran:
    """Run `exhaustctl` as an operator of the stack."""
    return await run("exhaustctl", *arguments, environment=environment | {"EXHAUST_POSTGRES_OWNER_DSN": stack.postgres})
