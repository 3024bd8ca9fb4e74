"""No secret lies where it does not belong: logs, topics, tables, downloads, errors."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deploy.local.stack import Stack, service_environment
from tests.acceptance.conftest import FIRST, FOLDER, PLAN
from tests.support.partner import Partner, post, resource_of

OWNER = PLAN.partner_ids[2]


def leaks(places: Iterable[Path], secrets: dict[str, str]) -> list[str]:
    """Every file below the places that holds a secret, and which."""
    found = []
    for place in places:
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                found += [f"{name} in {path}" for name, secret in secrets.items() if secret.encode() in data]
    return found


async def test_secrets_stay_where_they_belong(
    partner: Partner, stack: Stack, raw_days: dict[str, object], tmp_path: Path
) -> None:
    assert raw_days
    await partner.grant("--partner", OWNER)
    path = f"eks-consumption-raw/{resource_of(OWNER)}/{FIRST}/{FIRST}"
    reply = await partner.submit(path, partner_id=OWNER)
    data = await partner.download(await partner.finished(reply.result["requestid"]))
    (tmp_path / "download.zip").write_bytes(data)
    wrong = "wrong-key-5b1f9d0e-canary"
    errors = [
        await post(partner.http, f"{stack.gateway}/v2/datasets/{path}", {"licenseKey": wrong}),
        await partner.submit("nothing/else", partner_id=partner.license_key),
        await partner.submit(path, partner_id=OWNER, username=["odd"]),
    ]
    (tmp_path / "errors").write_text("\n".join(str(error.body) for error in errors))
    environment = service_environment(FOLDER, "gateway")
    secrets = {
        "license key": partner.license_key,
        "wrong key": wrong,
        "service token": stack.service_token,
        "S3 secret": stack.s3.secret_key,
        "owner's password": urlsplit(stack.postgres).password or "",
        "runtime password": urlsplit(environment["EXHAUST_POSTGRES_DSN"]).password or "",
        "peppers": environment["EXHAUST_LICENSE_KEY_PEPPERS"].split('"')[3],
    }
    assert all(len(secret) >= 16 for secret in secrets.values())
    places = [FOLDER / "logs", FOLDER / "data" / "kafka", tmp_path]
    assert leaks(places, secrets) == []
    assert leaks([FOLDER / "data" / "postgres"], {"license key": partner.license_key, "wrong key": wrong}) == []


@pytest.mark.parametrize("secret", ["license-key-canary", "token-canary"])
def test_the_search_finds_what_is_leaked(secret: str, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "x.log").write_bytes(b"\x00 {" + secret.encode() + b"}")
    assert leaks([tmp_path], {"planted": secret}) == [f"planted in {tmp_path / 'logs' / 'x.log'}"]
