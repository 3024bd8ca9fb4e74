"""The local stack gives each service the secrets that its settings read, and no others."""

from typing import get_args

import pytest
from pydantic import SecretStr

from deploy.local.services import SECRETS_OF
from tests.support.setting_bounds import PROCESSES, variable


def holds_a_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(map(holds_a_secret, get_args(annotation)))


@pytest.mark.parametrize("name", SECRETS_OF)
def test_a_service_gets_the_secrets_that_it_reads(name: str) -> None:
    fields = PROCESSES[name].model_fields.items()
    assert {variable(field) for field, info in fields if holds_a_secret(info.annotation)} == SECRETS_OF[name]
