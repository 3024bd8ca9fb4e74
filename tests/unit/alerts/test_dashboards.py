"""The dashboards: sound, described, and of figures that some process exports; so are the rules of alerts."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from deploy.prometheus.__main__ import HERE, RULES
from exhaust.metrics.catalogue import BY_NAME
from exhaust.metrics.metric import Kind
from tests.support.promtool import PromtoolMissingError, find_promtool, promtool

if TYPE_CHECKING:
    from pathlib import Path

GRAFANA: Final = HERE.parent / "grafana"
DASHBOARDS: Final = {path.stem: json.loads(path.read_text()) for path in sorted(GRAFANA.glob("dashboards/*.json"))}
CORE: Final = {"timeseries", "stat"}
UNITS: Final = {"none", "s", "bytes", "Bps", "reqps", "percentunit"}
NAME: Final = re.compile(r"\b(?:exhaust|process)_[a-z_]+")
SELECTOR: Final = re.compile(r"\b((?:exhaust|process)_[a-z_]+)\{([^}]*)\}")
LABEL: Final = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
SCRAPED: Final = {"job", "instance", "le"}
RULE_EXPRESSIONS: Final = [
    rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]
GRID: Final = 24


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = board["panels"]
    return found


EXPRESSIONS: Final = [
    target["expr"] for board in DASHBOARDS.values() for panel in panels(board) for target in panel["targets"]
]


def base(name: str) -> str:
    """The metric of a series: of a histogram's buckets, sum and count, the histogram."""
    histogram = re.sub(r"_(bucket|sum|count)$", "", name)
    known = BY_NAME.get(histogram)
    return histogram if known is not None and known.kind is Kind.HISTOGRAM else name


def test_there_are_three_dashboards() -> None:
    assert set(DASHBOARDS) == {"overview", "engine", "edge"}
    assert len({board["uid"] for board in DASHBOARDS.values()}) == len(DASHBOARDS)


@pytest.mark.parametrize("expression", [*RULE_EXPRESSIONS, *EXPRESSIONS])
def test_every_metric_is_exported_with_its_labels(expression: str) -> None:
    names = {base(name) for name in NAME.findall(expression)}
    assert names <= set(BY_NAME)
    assert all(BY_NAME[name].processes for name in names)
    for name, selector in SELECTOR.findall(expression):
        for label, operator, value in LABEL.findall(selector):
            known = BY_NAME[base(name)].labels
            assert label in {*known, *SCRAPED}
            values = known.get(label, ())
            if values and operator in {"=", "!="}:
                assert value in values
            if values and operator in {"=~", "!~"}:
                assert all(any(re.fullmatch(part, one) for one in values) for part in value.split("|"))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_is_titled_described_and_has_a_unit(name: str) -> None:
    board = DASHBOARDS[name]
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(titles)) == len(titles)
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["type"] in CORE
        assert panel["targets"]
        assert all(target["legendFormat"] for target in panel["targets"])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_source_of_data_is_a_variable(name: str) -> None:
    board = DASHBOARDS[name]
    (variable,) = board["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    sources = [panel["datasource"] for panel in panels(board)]
    sources += [target["datasource"] for panel in panels(board) for target in panel["targets"]]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_lie_beside_one_another(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    assert len({panel["id"] for panel in panels(DASHBOARDS[name])}) == len(panels(DASHBOARDS[name]))
    for panel in panels(DASHBOARDS[name]):
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert place["x"] + place["w"] <= GRID
        taken |= cells


def test_prometheus_understands_every_panel(tmp_path: Path) -> None:
    try:
        find_promtool()
    except PromtoolMissingError as missing:
        pytest.skip(f"the expressions were not parsed: {missing}")
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "1m")}
        for number, expression in enumerate(EXPRESSIONS)
    ]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    told = promtool("check", "rules", path)
    assert told.code == 0, told.text


def test_the_provisioning_example_is_sound() -> None:
    (provider,) = yaml.safe_load((GRAFANA / "provisioning.yaml").read_text())["providers"]
    assert provider["type"] == "file"
