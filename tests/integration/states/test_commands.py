"""The operators' commands for requests."""

import asyncio

import pytest

from admin.command import main
from deploy.local.stack import Stack
from exhaust.domain.state_machine import State
from services.status.request_reader import RequestReader
from tests.integration.conftest import RequestFactory, within
from tests.integration.states.conftest import DAYS, view_of


async def test_an_operator_cancels_and_retries_a_request(
    servers: Stack,
    schema: str,
    reader: RequestReader,
    request_factory: RequestFactory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EXHAUST_POSTGRES_OWNER_DSN", within(schema, servers.postgres).get_secret_value())
    request_id = await request_factory.request(days=DAYS)

    async def run(*arguments: str) -> tuple[object, str]:
        def call() -> object:
            with pytest.raises(SystemExit) as ended:
                main(arguments)
            return ended.value.code

        code = await asyncio.to_thread(call)  # the command has an event loop of its own
        out, err = capsys.readouterr()
        return code, out + err

    in_progress = "exhaustctl: the request is in progress; wait for its end, or cancel it first\n"
    assert await run("requests", "retry", str(request_id)) == (2, in_progress)
    code, told = await run("requests", "cancel", str(request_id))
    assert code == 0
    assert told.startswith(f"Cancelled {request_id} in attempt 1 at ")
    assert await run("requests", "cancel", str(request_id)) == (0, told)
    assert await run("requests", "retry", str(request_id)) == (0, f"Attempt 2 of {request_id} is submitted.\n")
    code, told = await run("audit", "--subject", f"request/{request_id}")
    assert code == 0
    assert [line.split("\t")[3] for line in told.splitlines()[-2:]] == ["retry", "cancel"]
    code, told = await run("requests", "cancel", "11111111-1111-4111-8111-111111111111")
    assert (code, "there is no request" in told) == (2, True)
    assert (await view_of(reader, request_id)).state is State.SUBMITTED
