"""The clients of the S3 driver, their credentials, and the translation of their errors into ours."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import aioboto3
import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError
from botocore.utils import parse_timestamp

from exhaust.errors import ConfigurationError, Dependency, ErrorCode, ExhaustError, unavailable
from exhaust.s3.errors import NoSuchUploadError, ObjectExistsError, ObjectMissingError
from exhaust.s3.measured_calls import measure_calls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from pydantic import SecretStr
    from types_aiobotocore_s3 import S3Client

    from exhaust.metrics.call_times import CallTimes
    from exhaust.settings import StoreSettings

READ_TIMEOUT: Final = timedelta(seconds=30)
CALL_TIMEOUT: Final = timedelta(minutes=2)
CONNECT_TIMEOUT: Final = timedelta(seconds=5)
CONNECTIONS: Final = 32  # of a client, where nothing else is said
USER_AGENT: Final = "telemetry-exhaust"  # the driver's own is put together anew for each call

# Raised by a connection, a time-out or the driver itself; an answer of the store that is an error is a ClientError.
DRIVER_ERRORS: Final = (BotoCoreError, aiohttp.ClientError, OSError, TimeoutError)


@asynccontextmanager
async def open_clients(settings: StoreSettings, times: CallTimes, *connections: int) -> AsyncIterator[list[S3Client]]:
    """Open a client for each number of connections; each connects when it is first used.

    There are several because nothing limits how long a call waits for a connection of a pool: reads that hold all of
    them would stop every write.

    Args:
        settings: where the store is, and as whom to call it.
        times: of its calls.
        connections: of each client.

    Raises:
        ConfigurationError: the settings hold no keys, and the platform has none either.
    """
    session = await _open_session(settings)
    ignore_reset_writes(asyncio.get_running_loop())
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                session.client("s3", endpoint_url=settings.s3_endpoint, config=_config(number))
            )
            for number in connections
        ]
        for client in clients:
            measure_calls(client, times)
        yield clients


def ignore_reset_writes(loop: asyncio.AbstractEventLoop) -> None:
    """Tell nobody of a task of aiohttp that could not write the end of a request, because the connection was reset.

    The call itself has failed by then, and says so. aiohttp forgets to look at its task, of which the loop complains.
    """
    others = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), aiohttp.ClientConnectionResetError) and _writes_request(context):
            return
        if others is None:
            loop.default_exception_handler(context)
        else:
            others(loop, context)

    loop.set_exception_handler(handle)


def _writes_request(context: Mapping[str, Any]) -> bool:
    task = context.get("future")
    coroutine = task.get_coro() if isinstance(task, asyncio.Task) else None
    return getattr(coroutine, "__qualname__", "") == aiohttp.ClientRequest.write_bytes.__qualname__


def _config(connections: int) -> AioConfig:
    return AioConfig(
        connect_timeout=CONNECT_TIMEOUT.total_seconds(),
        read_timeout=READ_TIMEOUT.total_seconds(),
        max_pool_connections=connections,
        user_agent=USER_AGENT,
        retries={"mode": "standard", "max_attempts": 3},
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


async def _open_session(settings: StoreSettings) -> aioboto3.Session:
    driver_session = get_session()
    driver_session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_parse_timestamp)
    try:
        session = aioboto3.Session(
            _text(settings.s3_access_key),
            _text(settings.s3_secret_key),
            region_name=settings.s3_region,
            botocore_session=driver_session,
        )
        credentials = await driver_session.get_credentials()
    except (BotoCoreError, ClientError) as error:
        raise ConfigurationError(f"the credentials for S3 cannot be read: {error}") from error
    if credentials is None:
        # A client that starts without credentials never looks for them again.
        raise ConfigurationError(
            "there are no credentials for S3: set EXHAUST_S3_ACCESS_KEY and EXHAUST_S3_SECRET_KEY, "
            "or give the process a profile, a web identity or its machine a role"
        )
    return session


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _parse_timestamp(text: str) -> datetime:
    """Parse a time in an answer of the store.

    The driver's own parser takes two thirds of the time of a listing, in which the event loop stands still.
    """
    for parse in (datetime.fromisoformat, parsedate_to_datetime):  # headers use the format of HTTP
        try:
            return parse(text)
        except ValueError:
            continue
    return parse_timestamp(text)


@asynccontextmanager
async def store_call(bucket: str, key: str = "", *, deadline: timedelta = CALL_TIMEOUT) -> AsyncIterator[None]:
    """Set a deadline for the calls of a block, and raise our errors in place of the driver's.

    Raises:
        ObjectMissingError: there is no such object, or no such bucket.
        ObjectExistsError: the condition of the call does not hold.
        NoSuchUploadError: there is no such multipart upload.
        ExhaustError: SERVICE_UNAVAILABLE, or INTERNAL_ERROR when the credentials are refused.
    """
    try:
        async with asyncio.timeout(deadline.total_seconds()):
            yield
    except ClientError as error:
        raise _our_error(error, bucket, key) from error
    except DRIVER_ERRORS as error:
        raise unavailable(Dependency.S3) from error


def _our_error(error: ClientError, bucket: str, key: str) -> Exception:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    code = error.response["Error"]["Code"]
    if code == "NoSuchUpload":
        return NoSuchUploadError(ErrorCode.SERVICE_UNAVAILABLE, f"the upload of {key} was aborted on the way")
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return ObjectMissingError(key)
    if status in {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}:
        return ObjectExistsError(key)
    if status == HTTPStatus.FORBIDDEN:
        return ExhaustError(
            ErrorCode.INTERNAL_ERROR, f"S3 refuses access to bucket {bucket} ({code}); check the credentials"
        )
    return unavailable(Dependency.S3)
