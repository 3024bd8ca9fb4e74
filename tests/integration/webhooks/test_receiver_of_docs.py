"""The receiver of the page for partners verifies what it is sent, and takes nothing else."""

import asyncio
import os
import sys
from pathlib import Path

import aiohttp

from tests.integration.webhooks.conftest import WITHIN, Hooks
from tests.support.doc_examples import blocks
from tests.support.s3_proxy import closed_port


async def is_refused(port: int) -> bool:
    """A message without a signature gets no success; before the receiver listens, there is no connection."""
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(f"http://127.0.0.1:{port}/", data=b"{}") as answer:
                assert answer.status >= 400
        except aiohttp.ClientConnectorError:
            return False
        except aiohttp.ClientError:
            pass  # it broke the connection off
    return True


async def test_the_receiver_of_the_page(hooks: Hooks, tmp_path: Path) -> None:
    (code,) = blocks("docs/webhooks.md", "python", after="# Webhooks")
    program, port, user = tmp_path / "receiver", closed_port(), await hooks.user()
    program.write_text(code)
    webhook, _ = await hooks.create(f"http://127.0.0.1:{port}/", user_id=user)
    environment = os.environ | {"PORT": str(port), "WEBHOOK_SECRET": hooks.secrets[webhook.webhook_id]}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(program)), env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WITHIN.total_seconds()):
            while not await is_refused(port):
                await hooks.database.fetch("SELECT pg_sleep(0.05)")
            request_id = await hooks.end_request(user)
            async with hooks.deliverer():
                line = await process.stdout.readline()
                await hooks.until(lambda found: found[0]["state"] == "delivered")
        assert b"request.complete" in line
        assert str(request_id).encode() in line
    finally:
        process.terminate()
        await process.communicate()
