"""The datasets that exist, read from a TOML file and checked once, at start."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exhaust.errors import ConfigurationError
from schemas.events import SOURCE_AGGREGATOR

if TYPE_CHECKING:
    from pathlib import Path

RESERVED_IDS: Final = frozenset({"requests"})  # /v2/datasets/requests/… names other operations


class CatalogueError(ConfigurationError):
    """The catalogue file cannot be used."""


class Layout(StrEnum):
    """The layout of the raw objects of a dataset in the bucket."""

    SHARED = "shared"
    RESOURCE = "resource"


DatasetId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class Dataset(BaseModel):
    """One entry of the catalogue; the file's comments say what each field means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: DatasetId
    aliases: tuple[DatasetId, ...] = ()
    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9_=-][A-Za-z0-9._=-]*/)+$")]
    layout: Layout
    event_kinds: frozenset[str] = frozenset()
    retention_days: Annotated[int, Field(ge=1)]
    executor: Annotated[str, Field(pattern=r"^[!-~]{1,256}$")] = SOURCE_AGGREGATOR

    @property
    def is_built_here(self) -> bool:
        """True when our aggregator builds it, false when a job elsewhere does."""
        return self.executor == SOURCE_AGGREGATOR


class _CatalogueFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    dataset: Annotated[list[Dataset], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All datasets, by id and by alias."""

    by_name: dict[str, Dataset]

    def find(self, name: str) -> Dataset | None:
        """Return the dataset with this id or alias; None when there is none."""
        return self.by_name.get(name)

    def with_id(self, dataset_id: str) -> Dataset | None:
        """Return the dataset with this very id, as events name it; None when there is none."""
        found = self.by_name.get(dataset_id)
        return found if found is not None and found.id == dataset_id else None

    def built_elsewhere(self) -> frozenset[str]:
        """Return the ids of the datasets that a job elsewhere builds."""
        return frozenset(dataset.id for dataset in self.by_name.values() if not dataset.is_built_here)


def parse_catalogue(text: str, where: str) -> Catalogue:
    """Parse and check the text of a catalogue file.

    Args:
        text: TOML.
        where: the file's name, for errors.

    Raises:
        CatalogueError: not TOML, a wrong or missing field, or a name that is reserved or used twice.
    """
    try:
        file = _CatalogueFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{where} is not TOML: {error}") from error
    except ValidationError as error:
        raise CatalogueError(f"{where} does not describe datasets: {error}") from error
    by_name: dict[str, Dataset] = {}
    for dataset in file.dataset:
        for name in (dataset.id, *dataset.aliases):
            if name in RESERVED_IDS:
                raise CatalogueError(f"{where}: {name!r} is a reserved word; give the dataset another id")
            if name in by_name:
                raise CatalogueError(f"{where}: {name!r} names two datasets; ids and aliases must be unique")
            by_name[name] = dataset
    return Catalogue(by_name)


def load_catalogue(path: Path | None) -> Catalogue:
    """Read the catalogue at `path`, or the one that ships when it is None.

    Raises:
        CatalogueError: see parse_catalogue; or the file cannot be read.
    """
    if path is None:
        return parse_catalogue(
            resources.files("exhaust.domain").joinpath("catalogue.toml").read_text(), "catalogue.toml"
        )
    try:
        return parse_catalogue(path.read_text(), str(path))
    except OSError as error:
        raise CatalogueError(f"EXHAUST_CATALOGUE names {path}, which cannot be read: {error.strerror}") from error
