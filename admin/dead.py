"""The commands for dead letters: list, show, redrive."""

import asyncio
import base64
from pathlib import Path
from typing import Annotated

import typer

from admin.connection import audit_actor
from admin.options import DryRun, Reason
from admin.results import Outcome, outcome_of, show_outcome
from admin.servers import Servers, open_servers
from admin.tables import AS_JSON, print_documents, print_json, print_table
from exhaust.domain.dead_letters import Letter, LetterFilter, LetterPlace, LetterState, causes_of
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.kafka.dead_letter_reader import read_letters
from exhaust.kafka.producer import open_producer
from exhaust.kafka.records import Record
from exhaust.kafka.topic_reader import TopicReader
from exhaust.operations.dead_letter_index import index_dead_letters, show_letter
from exhaust.operations.listings import Document, cause_row, letter_row
from exhaust.operations.orders import Order
from exhaust.operations.redrive import Redrive, open_letters, plan_redrive
from exhaust.postgres.database import Database
from exhaust.postgres.dead_letters import count_letter_causes, list_letters
from schemas.events import TOPIC_DEAD_LETTERS

dead_app = typer.Typer(
    help="Records that could not be worked on: list, show, redrive.", no_args_is_help=True, rich_markup_mode=None
)

Code = Annotated[str | None, typer.Option("--code", help="Why, in one word, such as UNKNOWN_REQUEST.")]
Source = Annotated[str | None, typer.Option("--source", help="Who sent the record, by its own word: ce_source.")]
SourceObject = Annotated[str | None, typer.Option("--object", help="The source object that it is about.")]
Topic = Annotated[str | None, typer.Option("--topic", help="From which topic, such as dataset.days.")]

_CAUSE = ("code", "topic", "source", "object", "letters", "waiting", "first", "latest")
_LETTER = (
    "letter",
    "at",
    "state",
    "moved",
    "replays",
    "code",
    "topic",
    "partition",
    "offset",
    "source",
    "request",
    "pointer",
    "error",
)


@dead_app.command("list")
def list_dead(
    *,
    each: Annotated[bool, typer.Option("--each", help="Show each dead letter, in place of the causes.")] = False,
    code: Code = None,
    source: Source = None,
    source_object: SourceObject = None,
    topic: Topic = None,
    state: Annotated[LetterState | None, typer.Option(help="In this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Lines at most, the latest.")] = 100,
) -> None:
    """Show dead letters by cause, or each of them, the latest first."""
    wanted = LetterFilter(code, source, source_object, topic, state=state)

    async def run() -> tuple[list[Document], Servers]:
        async with open_servers() as servers:
            return await (_each_letter if each else _causes)(servers, wanted, limit), servers

    rows, servers = asyncio.run(run())
    headings = _LETTER if each else _CAUSE
    if AS_JSON.get():
        print_json({"unseen": servers.unseen, "letters" if each else "causes": rows})
    else:
        print_documents(headings, rows)
        servers.tell_unseen()


@dead_app.command("show")
def show_dead(
    letter: Annotated[str, typer.Argument(metavar="LETTER", help="As the list names it, such as 3/1042.")],
    save: Annotated[Path | None, typer.Option(help="Write the bytes of the value into this file.")] = None,
) -> None:
    """Show a dead letter with its bytes. The audit keeps that somebody looked."""
    place = LetterPlace.parse(letter)

    async def run() -> Record | None:
        async with open_servers() as servers:
            database, reader = _both(servers, "showing a dead letter is put into the audit")
            return await show_letter(database, reader, place, actor=audit_actor())

    record = asyncio.run(run())
    if record is None:
        typer.echo(f"exhaustctl: Kafka has no dead letter {place}", err=True)
        raise typer.Exit(1)
    if save is not None:
        save.write_bytes(record.value)
    _print_record(record)


@dead_app.command("redrive")
def redrive_dead(
    letters: Annotated[
        list[str] | None, typer.Argument(metavar="[LETTER]...", help="As the list names them, such as 3/1042.")
    ] = None,
    *,
    reason: Reason,
    code: Code = None,
    source: Source = None,
    source_object: SourceObject = None,
    topic: Topic = None,
    dry_run: DryRun = False,
) -> None:
    """Send the records of dead letters to their topics once more, unchanged.

    Name letters, or all that wait of one cause by --code. A record is redriven three times at most.
    """
    order = Order(audit_actor(), reason, dry_run)
    if bool(letters) == (code is not None):
        raise typer.BadParameter("name dead letters, or a cause by --code")
    named = [LetterPlace.parse(letter) for letter in letters or ()]
    show_outcome(
        asyncio.run(_redrive(named, LetterFilter(code, source, source_object, topic), order)),
        dry_run=dry_run,
        nothing="no dead letter that waits has this cause",
    )


async def _redrive(named: list[LetterPlace], cause: LetterFilter, order: Order) -> Outcome:
    async with open_servers() as servers:
        if servers.database is not None and order.dry_run:
            await _index(servers)
            letters = named or await open_letters(servers.database, cause)
            return await outcome_of(plan_redrive(servers.database, letters))
        database, reader = _both(servers, "a redrive is put into the database and the audit")
        if servers.kafka is None:
            raise typer.BadParameter("set EXHAUST_KAFKA_BOOTSTRAP")
        await index_dead_letters(database, reader)
        async with open_producer(servers.kafka) as producer:
            run = Redrive(database, reader, producer, order)
            return await outcome_of(run.run(named or await open_letters(database, cause)))


async def _index(servers: Servers) -> None:
    """Bring the index up to date, if both servers are there."""
    if servers.database is None or servers.reader is None:
        return
    try:
        await index_dead_letters(servers.database, servers.reader)
    except ExhaustError as error:
        servers.unseen.append(error.message)


async def _causes(servers: Servers, wanted: LetterFilter, limit: int) -> list[Document]:
    await _index(servers)
    if servers.database is not None:
        causes = await count_letter_causes(servers.database, wanted, limit=limit)
    else:
        causes = causes_of(await _from_topic(servers, wanted))[:limit]
    return [cause_row(cause) for cause in causes]


async def _each_letter(servers: Servers, wanted: LetterFilter, limit: int) -> list[Document]:
    await _index(servers)
    if servers.database is not None:
        found = await list_letters(servers.database, wanted, limit=limit)
        return [letter_row(indexed.letter, indexed) for indexed in found]
    letters = await _from_topic(servers, wanted)
    latest = sorted(letters, key=lambda letter: letter.written_at.timestamp() if letter.written_at else 0.0)
    return [letter_row(letter, None) for letter in reversed(latest[-limit:])]


async def _from_topic(servers: Servers, wanted: LetterFilter) -> list[Letter]:
    """Read the topic itself, where the index cannot be seen: what became of a letter is not known then."""
    reader = servers.reader
    if reader is None:
        return []
    bounds = await reader.bounds(TOPIC_DEAD_LETTERS)
    starts = {partition: first for partition, (first, _) in bounds.items()}
    ends = {partition: end for partition, (_, end) in bounds.items()}
    return [letter async for some in read_letters(reader, starts, ends) for letter in some if wanted.matches(letter)]


def _both(servers: Servers, why: str) -> tuple[Database, TopicReader]:
    """Return both servers.

    Raises:
        ExhaustError: one of them does not answer.
        typer.BadParameter: nothing says where one is.
    """
    if servers.database is None or servers.reader is None:
        raise ExhaustError(ErrorCode.SERVICE_UNAVAILABLE, f"not seen: {'; '.join(servers.unseen)}; {why}")
    return servers.database, servers.reader


def _print_record(record: Record) -> None:
    headers = [(name, (value or b"").decode(errors="backslashreplace")) for name, value in record.headers]
    if AS_JSON.get():
        key = None if record.key is None else base64.b64encode(record.key).decode()
        document = {"headers": headers, "key": key, "value": base64.b64encode(record.value).decode()}
        print_json({"partition": record.partition, "offset": record.offset, "at": record.written_at} | document)
        return
    rows: list[tuple[object, object]] = [("letter", f"{record.partition}/{record.offset}"), ("at", record.written_at)]
    rows += headers
    rows.append(("(key)", (record.key or b"").decode(errors="backslashreplace")))
    rows.append(("(value)", record.value.decode(errors="backslashreplace")))
    print_table(("what", "text"), rows)
