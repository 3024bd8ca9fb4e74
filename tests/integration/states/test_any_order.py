"""The state of a request is the same whatever the order in which true and forged events come."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exhaust.domain.failures import RequestFailure
from exhaust.domain.state_machine import State
from exhaust.postgres.database import Database
from schemas.events import SOURCE_AGGREGATOR, Completed, FinishedArchive
from services.status.claims import RefusedCompletionError
from services.status.request_reader import RequestReader
from services.status.request_states import RequestStates
from tests.integration.conftest import RequestFactory
from tests.integration.states.conftest import DAYS, Downloads, day_finished, failed, started, view_of
from tests.support.completions import claim


@dataclass(frozen=True, slots=True)
class Ends:
    """The true end of each attempt of a request."""

    request_id: UUID
    archives: dict[int, FinishedArchive]

    def completed(self, attempt: int, **lie: Any) -> Completed:
        archive = self.archives.get(attempt, self.archives[1]).model_copy(update=lie)
        return Completed(requestid=self.request_id, attempt=attempt, archive=archive)


ATTEMPTS = st.integers(1, 3)  # of a request whose second was started
LIES = st.sampled_from(
    [
        {"size": 7},
        {"digest": "f" * 64},
        {"events": 10**9},
        {"key": "requests/x"},
        {"key": "requests/{id}/attempt-2/none.zip"},
        {"key": "requests/{id}/attempt-2/{work}/outcome.json"},
        {"sha256": None},
    ]
)
COMPLETIONS = st.one_of(
    st.builds(lambda attempt: lambda to: started(to.request_id, attempt), ATTEMPTS),
    st.builds(
        lambda number, attempt, events: lambda to: day_finished(to.request_id, number, attempt, events),
        *(st.integers(-1, DAYS), ATTEMPTS, st.integers(0, 2)),
    ),
    st.builds(lambda attempt: lambda to: to.completed(attempt), ATTEMPTS),
    st.builds(lambda attempt, lie: lambda to: to.completed(attempt, **lying(to, lie)), ATTEMPTS, LIES),
    st.builds(
        lambda attempt, code, day: lambda to: failed(to.request_id, attempt, code=code, day=day),
        *(ATTEMPTS, st.sampled_from(["LIMIT_EXCEEDED", "NO_PROGRESS", "X"]), st.sampled_from([None, 0, 1, DAYS])),
    ),
)
SOURCES = st.sampled_from([SOURCE_AGGREGATOR, SOURCE_AGGREGATOR, "/somebody/else"])


def lying(ends: Ends, lie: dict[str, Any]) -> dict[str, Any]:
    work = ends.archives[2].key.split("/")[3]
    return {
        name: value.format(id=ends.request_id, work=work) if name == "key" else value for name, value in lie.items()
    }


async def end_of(
    states: RequestStates, reader: RequestReader, ends: Ends, events: Sequence[tuple[int, tuple[Any, str]]]
) -> tuple[Any, ...]:
    """What a partner reads of a request after these events; those with one number have one id."""
    for number, (event, source) in events:
        with contextlib.suppress(RefusedCompletionError):
            await states.apply(claim(event(ends), f"{ends.request_id}/{number}", source=source))
    view = await view_of(reader, ends.request_id)
    told = RequestFailure.of(view.outcome).to_json() if view.state is State.FAILED else view.outcome
    if told and "key" in told:
        assert view.state is State.COMPLETE
        assert told["key"] == ends.archives[2].key
        told = {name: value for name, value in told.items() if name != "key"}
    return view.state, view.attempt, view.days_done, view.events, view.bytes, told


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(COMPLETIONS, SOURCES), min_size=1, max_size=8), st.data())
async def test_any_order_and_repetition_of_the_same_true_and_forged_events_ends_alike(
    states: RequestStates,
    reader: RequestReader,
    request_factory: RequestFactory,
    database: Database,
    downloads: Downloads,
    events: list[Any],
    data: st.DataObject,
) -> None:
    # Some events share an id, as a forged one may take that of a true one.
    numbered = [(data.draw(st.integers(0, 3), label="id"), event) for event in events]
    again = data.draw(st.lists(st.sampled_from(numbered), max_size=4), label="repeated")
    shuffled = data.draw(st.permutations([*numbered, *again]), label="arrival")
    told = []
    for order in (numbered, shuffled):
        request_id = await request_factory.request(days=DAYS, waiting=False)
        async with database.transaction() as connection:
            await connection.execute("UPDATE requests SET attempt = 2 WHERE request_id = $1", request_id)
        ends = Ends(request_id, {attempt: (await downloads.write(request_id, attempt)).archive for attempt in (1, 2)})
        told.append(await end_of(states, reader, ends, order))
    assert told[0] == told[1]
