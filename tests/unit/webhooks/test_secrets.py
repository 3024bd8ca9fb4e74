"""Secrets of webhooks are sealed for their webhook, and nothing else opens them."""

from uuid import uuid4

import pytest
from pydantic import SecretStr

from exhaust.errors import ConfigurationError
from exhaust.webhooks.secrets import SecretSeal, new_secret, written_secret

OLD, NEW = (
    SecretStr("an old key with more than enough characters"),
    SecretStr("a new key with more than enough characters"),
)


def test_a_sealed_secret_opens_for_its_webhook_alone() -> None:
    seal, webhook, secret = SecretSeal({1: OLD}), uuid4(), new_secret()
    sealed = seal.seal(secret, webhook)
    assert secret not in sealed
    assert seal.open(sealed, webhook) == secret
    with pytest.raises(ConfigurationError):
        seal.open(sealed, uuid4())


def test_an_older_key_opens_what_it_sealed_and_the_highest_seals() -> None:
    webhook, secret = uuid4(), new_secret()
    both = SecretSeal({1: OLD, 2: NEW})
    assert both.open(SecretSeal({1: OLD}).seal(secret, webhook), webhook) == secret
    assert SecretSeal({2: NEW}).open(both.seal(secret, webhook), webhook) == secret
    with pytest.raises(ConfigurationError, match="EXHAUST_WEBHOOK_KEYS"):
        SecretSeal({2: NEW}).open(SecretSeal({1: OLD}).seal(secret, webhook), webhook)


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    seal, webhook, secret = SecretSeal({1: OLD}), uuid4(), new_secret()
    assert seal.seal(secret, webhook) != seal.seal(secret, webhook)


def test_a_secret_is_written_as_the_specification_says() -> None:
    assert written_secret(bytes(32)) == "whsec_" + "A" * 43 + "="
