"""Pausing a partner or a dataset: submits are accepted, and nothing is released."""

import pytest

from exhaust.domain.catalogue import load_catalogue
from exhaust.errors import ExhaustError
from exhaust.operations.pausing import pause, paused_dataset, paused_partner, paused_resource, resume
from exhaust.postgres.audit import Action
from exhaust.postgres.database import Database
from exhaust.postgres.pauses import PauseTarget, find_pauses
from telemetry.resource_ids import resource_id
from tests.integration.conftest import RequestFactory
from tests.integration.operations.conftest import DRY_RUN, ORDER, REASON, Operator
from tests.support.outbox import Topic, release, waiting

MAPLE, OAK = "org.example.maple", "org.example.oak"
DATASET = "eks-consumption-raw"


@pytest.mark.parametrize(
    "target", [paused_partner(MAPLE), paused_resource(resource_id(MAPLE))], ids=["by its id", "by its resource"]
)
async def test_a_paused_partner_waits_and_others_do_not(
    database: Database, owner_database: Database, request_factory: RequestFactory, target: PauseTarget
) -> None:
    held = [await request_factory.request(partner=MAPLE) for _ in range(2)]
    free = await request_factory.request(partner=OAK)
    assert (await pause(owner_database, target, ORDER)).done
    topic = Topic()
    assert await release(database, topic) == [free]
    held.append(await request_factory.request(partner=MAPLE))
    assert await release(database, topic) == []
    assert await waiting(database) == set(held)
    assert (await resume(owner_database, target, ORDER)).done
    assert set(await release(database, topic)) == set(held)


async def test_a_paused_dataset_waits_whoever_asks(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    held = {await request_factory.request(partner=partner) for partner in (MAPLE, OAK)}
    target = paused_dataset(load_catalogue(None), "D002")
    assert target.name == DATASET
    assert (await pause(owner_database, target, ORDER)).done
    assert await release(database, Topic()) == []
    assert await waiting(database) == held


async def test_a_pause_says_who_and_why_and_is_made_once(owner_database: Database, operator: Operator) -> None:
    target = paused_partner(MAPLE)
    assert (await pause(owner_database, target, DRY_RUN)).what == "would be paused"
    assert await find_pauses(owner_database) == []
    assert (await pause(owner_database, target, ORDER)).done
    again = await pause(owner_database, target, ORDER)
    assert (again.done, again.what.startswith("it is paused already, by service/test since ")) == (False, True)
    [found] = await find_pauses(owner_database)
    assert (found.target, found.reason, found.actor) == (target, REASON, "service/test")
    assert (await resume(owner_database, target, DRY_RUN)).what == "would be resumed"
    assert (await resume(owner_database, target, ORDER)).done
    assert not (await resume(owner_database, target, ORDER)).done
    subject = f"partner/{resource_id(MAPLE)}"
    assert await operator.acts(Action.PAUSE) == [("service/test", subject, REASON)]
    assert await operator.acts(Action.RESUME) == [("service/test", subject, REASON)]


@pytest.mark.parametrize("partner", ["", "x" * 257, "a\0b"], ids=["empty", "long", "NUL"])
def test_a_name_that_cannot_be_a_partner_is_refused(partner: str) -> None:
    with pytest.raises(ExhaustError):
        paused_partner(partner)


async def test_the_commands_pause_show_and_resume(operator: Operator) -> None:
    named = "org.example.\x1b[31mmaple"
    assert (await operator.asks("pause", "--partner", named, "--reason", REASON))["done"] == 1
    assert (await operator.run("pause", "--partner", named, "--reason", REASON)).code == 2
    assert (await operator.asks("pause", "--dataset", "D002", "--reason", REASON))["done"] == 1
    shown = await operator.command.good("pauses")
    assert [row[:3] for row in shown.rows[1:]] == [
        ["partner", resource_id(named), "org.example.\\x1b[31mmaple"],
        ["dataset", DATASET, DATASET],
    ]
    assert {row[5] for row in shown.rows[1:]} == {REASON}
    assert all(row[4].startswith("operator/") for row in shown.rows[1:])
    for wrong in ((), ("--partner", named, "--dataset", DATASET), ("--dataset", "no-such")):
        assert (await operator.run("pause", *wrong, "--reason", REASON)).code == 2
    for target in (("--partner", named), ("--dataset", DATASET)):
        assert (await operator.asks("resume", *target, "--reason", REASON))["done"] == 1
        assert (await operator.run("resume", *target, "--reason", REASON)).code == 2
    assert await operator.asks("pauses") == []
