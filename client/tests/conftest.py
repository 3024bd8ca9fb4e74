"""A fake gateway for each test, and settings that come from nowhere else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from client_support.fake_gateway import FakeGateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with FakeGateway() as running:
        yield running


@pytest.fixture
def settings(fake: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    """Have commands of this process call the fake."""
    for name in list(os.environ):
        if name.startswith("EXHAUST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("EXHAUST_PROFILES_FILE", str(tmp_path / "settings" / "profiles.ini"))
    for name, value in fake.environment().items():
        monkeypatch.setenv(name, value)
    return fake
