from pathlib import Path

import pytest

from exhaust.domain.catalogue import CatalogueError, Layout, load_catalogue, parse_catalogue
from schemas.events import SOURCE_AGGREGATOR

ENTRY = '[[dataset]]\nid = "one"\nprefix = "one/"\nlayout = "shared"\nretention_days = 7\n'


def test_the_shipped_catalogue_knows_the_documented_datasets_and_their_aliases() -> None:
    catalogue = load_catalogue(None)
    expected = {
        "D001": ("D001", "public/", Layout.RESOURCE),
        "D002": ("eks-consumption-raw", "raw/", Layout.SHARED),
        "D003": ("eks-consumption-summary", "summary/", Layout.SHARED),
        "D004": ("eks-consumption-metrics", "metrics/", Layout.SHARED),
        "D005": ("eks-creation-raw", "creation/raw/", Layout.SHARED),
        "D006": ("eks-creation-summary", "creation/summary/", Layout.SHARED),
        "D007": ("eks-creation-metrics", "creation/metrics/", Layout.SHARED),
        "channel-raw": ("channel-raw", "channel/", Layout.RESOURCE),
    }
    for name, (dataset_id, prefix, layout) in expected.items():
        dataset = catalogue.find(name)
        assert dataset is not None
        assert (dataset.id, dataset.prefix, dataset.layout) == (dataset_id, prefix, layout)
        assert catalogue.find(dataset_id) is dataset
    assert catalogue.find("requests") is None


def test_our_aggregator_builds_a_dataset_unless_another_executor_is_named() -> None:
    ours = parse_catalogue(ENTRY, "my.toml").find("one")
    theirs = parse_catalogue(ENTRY + 'executor = "/org.example/spark"\n', "my.toml").find("one")
    assert ours is not None
    assert theirs is not None
    assert (ours.executor, ours.is_built_here) == (SOURCE_AGGREGATOR, True)
    assert (theirs.executor, theirs.is_built_here) == ("/org.example/spark", False)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[dataset", "not TOML"),
        ("", "dataset"),
        (ENTRY.replace('"one"', '"requests"'), "reserved"),
        (ENTRY + ENTRY, "two datasets"),
        (ENTRY + 'aliases = ["one"]\n', "two datasets"),
        (ENTRY.replace("one/", "/one"), "prefix"),
        (ENTRY.replace("one/", "../"), "prefix"),
        (ENTRY.replace("shared", "flat"), "layout"),
        (ENTRY + "colour = 1\n", "colour"),
        (ENTRY.replace("retention_days = 7", "retention_days = 0"), "retention_days"),
        (ENTRY + 'executor = ""\n', "executor"),
        (ENTRY + 'executor = "two words"\n', "executor"),
    ],
)
def test_a_wrong_catalogue_is_refused_with_its_reason(text: str, complaint: str) -> None:
    with pytest.raises(CatalogueError, match=complaint):
        parse_catalogue(text, "my.toml")


def test_a_catalogue_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"nowhere\.toml"):
        load_catalogue(tmp_path / "nowhere.toml")


def test_an_error_names_the_file() -> None:
    for text in ("[[dataset", "", ENTRY + ENTRY, ENTRY.replace('"one"', '"requests"')):
        with pytest.raises(CatalogueError, match=r"my\.toml"):
            parse_catalogue(text, "my.toml")


def test_the_least_catalogue_is_one_dataset_for_one_day(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(ENTRY.replace("retention_days = 7", "retention_days = 1"))
    dataset = load_catalogue(path).find("one")
    assert dataset is not None
    assert (dataset.retention_days, dataset.aliases, dataset.event_kinds) == (1, (), frozenset())
    assert load_catalogue(path).find("two") is None


def test_datasets_are_told_apart_by_all_their_names() -> None:
    other = ENTRY.replace('"one"', '"two"') + 'aliases = ["2", "zwei"]\n'
    catalogue = parse_catalogue(ENTRY + 'aliases = ["1"]\n' + other, "my.toml")
    assert {name: dataset.id for name, dataset in catalogue.by_name.items()} == {
        "one": "one",
        "1": "one",
        "two": "two",
        "2": "two",
        "zwei": "two",
    }
