"""What exists on the stack under test, handed to schemathesis' own process through the environment."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

PREFIX = "EXHAUST_API_TEST_"


@dataclass(frozen=True)
class Known:
    """Names that make a call succeed.

    Attributes:
        victim_name: a client whose keys may be replaced and revoked; the others' keys may not.
        request_id: of a request that is complete.
        failed_id: of a request that has failed, with a finished day.
        deletable: requests that have ended, of which nothing else depends, with commas between them.
        deletable_webhooks: the same of webhooks.
        archive_key: an object under the prefix of `request_id`.
        first_day: with `last_day` a range that may be asked for.
        user_id: of the client, as the gateway tells it to the status service.
        token: a JWT whose bearer is the client.
    """

    license_key: str
    client_name: str
    victim_name: str
    key_name: str
    partner_id: str
    channel: str
    resource_id: str
    request_id: str
    failed_id: str
    deletable: str
    webhook_id: str
    deletable_webhooks: str
    archive_key: str
    dataset: str
    first_day: str
    last_day: str
    user_id: str
    token: str

    def environment(self) -> Mapping[str, str]:
        return {PREFIX + name.upper(): value for name, value in asdict(self).items()}

    @classmethod
    def read(cls) -> Self:
        return cls(**{name: os.environ[PREFIX + name.upper()] for name in cls.__dataclass_fields__})
