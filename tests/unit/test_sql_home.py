"""All SQL of the product stands in exhaust/postgres/."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("schemas", "telemetry", "exhaust", "services", "admin", "deploy")
HOME = ROOT / "exhaust" / "postgres"
SQL_VERB = re.compile(r"\b(INSERT|UPDATE|SELECT|DELETE)\b")


def lines_with_sql(*, at_home: bool) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for folder in PRODUCT
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (HOME in path.parents) is at_home
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if SQL_VERB.search(line)
    ]


def test_sql_stands_in_exhaust_postgres_alone() -> None:
    assert lines_with_sql(at_home=True)
    assert lines_with_sql(at_home=False) == []
