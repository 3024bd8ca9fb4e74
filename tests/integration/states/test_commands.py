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

    one, reason = str(request_id), ("--reason", "asked by phone")
    code, told = await run("retry", one, *reason)
    assert (code, "the request is in progress; wait for its end, or cancel it first" in told) == (2, True)
    code, told = await run("cancel", one, *reason)
    assert code == 0
    assert f"request/{request_id}\tdone\tattempt 1 was cancelled at " in told
    assert await run("cancel", one, *reason) == (0, told)
    code, again = await run("retry", one, *reason)
    assert (code, "attempt 2 is submitted" in again) == (0, True)
    code, told = await run("audit", "--subject", f"request/{request_id}")
    assert code == 0
    assert [line.split("\t")[3] for line in told.splitlines()[-2:]] == ["retry", "cancel"]
    assert told.count('"reason": "asked by phone"') == 2
    code, told = await run("cancel", "11111111-1111-4111-8111-111111111111", *reason)
    assert (code, "there is no request" in told) == (2, True)
    assert (await view_of(reader, request_id)).state is State.SUBMITTED
