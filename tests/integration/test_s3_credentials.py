"""The credentials for S3 are the keys of the settings, or those that the platform gives to the process."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from aiohttp import web

from exhaust.errors import ConfigurationError
from exhaust.http.listener import open_listener
from exhaust.s3.store import open_object_store
from tests.support.s3_operations import credentials_of
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3Settings

ROLE = "arn:aws:iam::123456789012:role/exhaust"
ROLE_KEY = "ASIAROLE"
SESSION_TOKEN = "a-session-token"
WEB_IDENTITY = "a-web-identity-token"


@dataclass
class Platform:
    """A cloud platform: its token service, the metadata of its machines, and a store that records its callers.

    Attributes:
        url: of all three.
        callers: the access key and the session token of each call of the store.
    """

    url: str = ""
    callers: list[tuple[str, str]] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.post("/", self.assume_role),
                web.put("/latest/api/token", self.metadata_token),
                web.get("/latest/meta-data/iam/security-credentials/", self.role_name),
                web.get("/latest/meta-data/iam/security-credentials/exhaust", self.role_credentials),
                web.head("/{bucket}", self.store),
            ]
        )
        return app

    async def assume_role(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["Action"] == "AssumeRoleWithWebIdentity"
        assert form["RoleArn"] == ROLE
        assert form["WebIdentityToken"] == WEB_IDENTITY
        return web.Response(
            content_type="text/xml",
            text='<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            "<AssumeRoleWithWebIdentityResult><Credentials>"
            f"<AccessKeyId>{ROLE_KEY}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>"
            f"<SessionToken>{SESSION_TOKEN}</SessionToken><Expiration>{in_an_hour()}</Expiration>"
            "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
        )

    async def metadata_token(self, _: web.Request) -> web.Response:
        return web.Response(text="metadata-token")

    async def role_name(self, _: web.Request) -> web.Response:
        return web.Response(text="exhaust")

    async def role_credentials(self, request: web.Request) -> web.Response:
        assert request.headers["x-aws-ec2-metadata-token"] == "metadata-token"
        return web.json_response(
            {
                "Code": "Success",
                "AccessKeyId": ROLE_KEY,
                "SecretAccessKey": "secret",
                "Token": SESSION_TOKEN,
                "Expiration": in_an_hour(),
            }
        )

    async def store(self, request: web.Request) -> web.Response:
        credential = request.headers["Authorization"].partition("Credential=")[2]
        self.callers.append((credential.partition("/")[0], request.headers["x-amz-security-token"]))
        return web.Response()


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    made_up = Platform()
    port = closed_port()
    async with open_listener(made_up.app(), "127.0.0.1", port):
        made_up.url = f"http://127.0.0.1:{port}"
        yield made_up


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without credentials, for tests to change."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.fixture
def without_keys(s3_settings: S3Settings) -> S3Settings:
    return s3_settings.model_copy(update={"s3_access_key": None, "s3_secret_key": None})


async def test_without_keys_a_profile_is_used(
    objects: ObjectStore,
    s3_settings: S3Settings,
    without_keys: S3Settings,
    environment: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    keys = credentials_of(s3_settings)
    (tmp_path / "credentials").write_text(
        f"[exhaust]\naws_access_key_id={keys.access_key}\naws_secret_access_key={keys.secret_key}\n", encoding="utf-8"
    )
    environment.setenv("AWS_PROFILE", "exhaust")
    bucket, key = s3_settings.s3_exhaust_bucket, f"profile-{uuid4().hex[:8]}"
    async with open_object_store(without_keys) as by_profile:
        await by_profile.put(bucket, key, b"written by a profile")
    assert await objects.get(bucket, key) == b"written by a profile"


async def test_the_keys_of_the_settings_take_precedence_over_the_platforms(
    s3_settings: S3Settings, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("AWS_ACCESS_KEY_ID", "somebody-else")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    async with open_object_store(s3_settings) as opened:
        await opened.ping(s3_settings.s3_exhaust_bucket)


async def test_without_keys_a_web_identity_is_used(
    platform: Platform, without_keys: S3Settings, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "identity").write_text(WEB_IDENTITY, encoding="utf-8")
    environment.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "identity"))
    environment.setenv("AWS_ROLE_ARN", ROLE)
    environment.setenv("AWS_ENDPOINT_URL_STS", platform.url)
    async with open_object_store(without_keys.model_copy(update={"s3_endpoint": platform.url})) as opened:
        await opened.ping("raw")
    assert platform.callers == [(ROLE_KEY, SESSION_TOKEN)]


async def test_without_keys_the_role_of_the_machine_is_used(
    platform: Platform, without_keys: S3Settings, environment: pytest.MonkeyPatch
) -> None:
    environment.delenv("AWS_EC2_METADATA_DISABLED")
    environment.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", platform.url)
    async with open_object_store(without_keys.model_copy(update={"s3_endpoint": platform.url})) as opened:
        await opened.ping("raw")
    assert platform.callers == [(ROLE_KEY, SESSION_TOKEN)]


@pytest.mark.usefixtures("environment")
async def test_a_store_does_not_open_without_credentials(without_keys: S3Settings) -> None:
    with pytest.raises(ConfigurationError, match="EXHAUST_S3_ACCESS_KEY and EXHAUST_S3_SECRET_KEY, or give"):
        async with open_object_store(without_keys):
            pass


async def test_the_error_for_an_unknown_profile_names_it(
    without_keys: S3Settings, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigurationError, match="nobody"):
        async with open_object_store(without_keys):
            pass


async def test_the_error_for_half_a_pair_of_keys_does_not_show_it(
    without_keys: S3Settings, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("AWS_ACCESS_KEY_ID", "planted-5Zq9")
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY") as refused:
        async with open_object_store(without_keys):
            pass
    assert "planted-5Zq9" not in str(refused.value)
