"""The examples in README and docs do what they say, in the order in which a reader meets them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from admin.test_issuer import LocalIssuer
from deploy.local.addresses import KAFKA_PROTOCOL
from deploy.local.stack import Stack
from exhaust.postgres.database import open_database
from tests.acceptance.conftest import FOLDER
from tests.conftest import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(file: str, language: str, *, after: str) -> list[str]:
    """Code blocks of a language, from a heading on."""
    text = (ROOT / file).read_text()
    return [code for kind, code in BLOCK.findall(text[text.index(after) :]) if kind == language]


@pytest.fixture
def reader(tmp_path: Path, stack: Stack, issuer: LocalIssuer) -> Path:
    """A reader's folder: the stack that runs, the commands, and a `make` that has done its work already."""
    assert stack.processes
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").symlink_to(FOLDER / "stack.json")
    (tmp_path / ".local" / "test-issuer").symlink_to(issuer.folder)
    commands = {
        "make": "",
        "exhaust": f'exec {sys.executable} -m client.command "$@"\n',
        "exhaustctl": f'exec {sys.executable} -m admin.command "$@"\n',
    }
    for name, code in commands.items():
        target = tmp_path / "bin" / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(f"#!/bin/sh\n{code}")
        target.chmod(0o755)
    (tmp_path / ".venv").symlink_to(tmp_path)
    return tmp_path


def shell(code: str, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EXHAUST_")}
    environment |= {"PATH": f"{folder / 'bin'}:{environment['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [shutil.which("bash") or "/bin/bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_the_tutorial_runs_from_registering_to_revoking(reader: Path, stack: Stack) -> None:
    walk = blocks("docs/tutorial.md", "sh", after="# Tutorial")
    walk[0] = walk[0].replace("make load\n", "")
    listing = shell("\n".join(walk), reader)
    assert listing.count(".zip") >= 5
    assert "manifest.json" in listing
    (insert,) = blocks("docs/tutorial.md", "sql", after="# Tutorial")
    async with open_database(SecretStr(stack.postgres), pool_size=1) as database:
        await database.fetch(insert)
        held = await database.fetch(
            "SELECT resource FROM data_exhaust_users_resources g JOIN data_exhaust_users u ON u.id = g.user_id"
            " WHERE client_name = 'maple'"
        )
    assert {row["resource"] for row in held} >= {
        "0474e1c817c08564614cd4ddebdd31b2",
        "fd001eaba2e5b79b814446307d709ee2",
    }


async def test_the_operators_examples(reader: Path, stack: Stack) -> None:
    (prepare,) = blocks("docs/operations/updates.md", "sh", after="# First start")
    (ready,) = blocks("docs/operations/README.md", "sh", after="# Operations")
    variables = {
        "EXHAUST_POSTGRES_OWNER_DSN": stack.postgres,
        "EXHAUST_KAFKA_BOOTSTRAP": stack.kafka,
        "EXHAUST_KAFKA_SECURITY_PROTOCOL": KAFKA_PROTOCOL,
        "EXHAUST_KAFKA_SASL_USERNAME": stack.kafka_username,
        "EXHAUST_KAFKA_SASL_PASSWORD": stack.kafka_password,
        "EXHAUST_S3_ENDPOINT": stack.s3.endpoint,
        "EXHAUST_S3_ACCESS_KEY": stack.s3.access_key,
        "EXHAUST_S3_SECRET_KEY": stack.s3.secret_key,
        "EXHAUST_S3_RAW_BUCKET": stack.s3.raw_bucket,
        "EXHAUST_S3_EXHAUST_BUCKET": stack.s3.exhaust_bucket,
    }
    exports = "".join(f"export {name}='{value}'\n" for name, value in variables.items())
    assert shell(exports + prepare, reader).splitlines() == [
        "The tables are up to date.",
        "All topics exist.",
        "Both buckets exist.",
    ]
    answers = shell(ready, reader).replace("}{", "}\n{").splitlines()
    assert [json.loads(answer)["ready"] for answer in answers] == [True, True, True]
    (query,) = blocks("docs/operations/failures/request-stands-still.md", "sql", after="# A request stands still")
    async with open_database(SecretStr(stack.postgres), pool_size=1) as database:
        assert await database.fetch(query.rstrip().rstrip(";")) is not None
