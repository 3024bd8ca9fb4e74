from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from admin.connection import STACK_FILE, bucket_settings, topic_settings
from deploy.local.addresses import S3Access, Stack, save_stack
from deploy.local.folder import Folder

if TYPE_CHECKING:
    from pathlib import Path

S3 = {
    "endpoint": "http://here:1",
    "access_key": "access",
    "secret_key": "secret",
    "raw_bucket": "raw",
    "exhaust_bucket": "zips",
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA_BOOTSTRAP", *(f"S3_{part.upper()}" for part in S3)):
        monkeypatch.delenv(f"EXHAUST_{name}", raising=False)


@pytest.fixture
def local_stack(tmp_path: Path) -> None:
    folder = Folder(tmp_path / STACK_FILE.parent)
    folder.create()
    save_stack(
        folder,
        Stack(
            "",
            "",
            "",
            "",
            "",
            kafka="here:2",
            postgres="",
            s3=S3Access(**S3),
            service_token="",
            processes={},
            kafka_home="",
            kafka_username="admin",
            kafka_password="word",
        ),
    )


@pytest.mark.usefixtures("local_stack")
def test_the_servers_of_the_local_stack_are_found() -> None:
    kafka = topic_settings()
    assert (kafka.kafka_bootstrap, kafka.kafka_security_protocol) == ("here:2", "SASL_PLAINTEXT")
    assert (kafka.kafka_sasl_username, kafka.kafka_sasl_password) == ("admin", SecretStr("word"))
    found = bucket_settings()
    assert (found.s3_endpoint, found.s3_raw_bucket, found.s3_exhaust_bucket) == ("http://here:1", "raw", "zips")
    assert (found.s3_access_key, found.s3_secret_key) == (SecretStr("access"), SecretStr("secret"))


@pytest.mark.usefixtures("local_stack")
def test_the_environment_comes_before_the_local_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXHAUST_KAFKA_BOOTSTRAP", "there:3")
    for name, value in S3.items():
        monkeypatch.setenv(f"EXHAUST_S3_{name.upper()}", f"{value}-there")
    assert topic_settings().kafka_bootstrap == "there:3"
    assert bucket_settings().s3_endpoint == "http://here:1-there"


def test_without_both_the_missing_setting_is_named() -> None:
    with pytest.raises(ValueError, match="kafka_bootstrap"):
        topic_settings()
    with pytest.raises(ValueError, match="s3_endpoint"):
        bucket_settings()
