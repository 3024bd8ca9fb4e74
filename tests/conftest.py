"""Where the tests find what they need."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Other examples at every run, so few are enough each time; EXHAUST_EXAMPLES=1000 looks closer.
settings.register_profile("project", max_examples=int(os.environ.get("EXHAUST_EXAMPLES", "30")), deadline=None)
settings.load_profile("project")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real telemetry; absent means a visible skip, in CI a failure."""
    folder = Path(os.environ.get("EXHAUST_SAMPLES") or ROOT.parent / "shared" / "telemetry-samples")
    if not folder.is_dir():
        message = f"no telemetry samples at {folder}; set EXHAUST_SAMPLES"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
