"""The examples in README and docs do what they say, in the order in which a reader meets them."""

import json
from pathlib import Path

from pydantic import SecretStr

from deploy.local.addresses import KAFKA_PROTOCOL
from deploy.local.stack import Stack
from exhaust.postgres.database import open_database
from tests.support.doc_examples import blocks, shell


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
    _, ready = blocks("docs/operations/README.md", "sh", after="# Operations")  # the first is run in test_lag.py
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
