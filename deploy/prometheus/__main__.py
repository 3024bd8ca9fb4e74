"""The configuration of a Prometheus that scrapes the local stack: `python -m deploy.prometheus > prometheus.yaml`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from yarl import URL

from deploy.local.stack import DEFAULT_FOLDER, StackError, read_stack

if TYPE_CHECKING:
    from deploy.local.stack import Stack

HERE: Final = Path(__file__).parent
EXAMPLE: Final = HERE / "prometheus.yaml"
RULES: Final = HERE / "rules.yaml"


def configuration(stack: Stack, rules: Path = RULES) -> dict[str, Any]:
    """Return the example with the addresses of a stack that runs.

    Args:
        stack: what is scraped.
        rules: the alerts.
    """
    targets = {
        "exhaust-gateway": stack.gateway_internal,
        "exhaust-aggregator": stack.aggregator_internal,
        "exhaust-status": stack.status_internal,
        "exhaust-console": stack.console,
    }
    found: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    for job in found["scrape_configs"]:
        job["static_configs"] = [{"targets": [URL(targets[job["job_name"]]).authority]}]
    return found | {"rule_files": [str(rules)]}


def main() -> int:
    """Print the configuration."""
    try:
        stack = read_stack(DEFAULT_FOLDER)
    except StackError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    yaml.safe_dump(configuration(stack), sys.stdout, sort_keys=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
