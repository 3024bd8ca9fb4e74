"""The error for a dataset that the aggregator's catalogue does not have."""

from __future__ import annotations

from exhaust.errors import ErrorCode, ExhaustError


class UnknownDatasetError(ExhaustError):
    """Somebody asks for a dataset that is not in the aggregator's catalogue."""

    def __init__(self, dataset_id: str) -> None:
        super().__init__(ErrorCode.INTERNAL_ERROR, f"dataset {dataset_id} is not in the aggregator's catalogue")
