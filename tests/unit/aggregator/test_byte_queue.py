import asyncio

from services.aggregator.build.byte_queue import ByteQueue


async def test_items_come_in_order_and_wait_for_room() -> None:
    queue: ByteQueue[int] = ByteQueue(10)
    put: list[int] = []

    async def fill() -> None:
        for number in range(6):
            await queue.put(number, 5)
            put.append(number)
        await queue.end()

    filling = asyncio.create_task(fill())
    items = queue.items()
    assert await anext(items) == 0
    for _ in range(20):  # turns of the loop, many more than it takes
        await asyncio.sleep(0)
    assert put == [0, 1, 2]  # one was taken, two wait: no more room
    assert [item async for item in items] == [1, 2, 3, 4, 5]
    await filling


async def test_an_item_that_is_too_large_fits_when_nothing_waits() -> None:
    queue: ByteQueue[str] = ByteQueue(10)
    await queue.put("large", 1000)
    await queue.end()
    assert [item async for item in queue.items()] == ["large"]


async def test_an_end_wakes_whoever_waits() -> None:
    queue: ByteQueue[int] = ByteQueue(10)
    waiting = asyncio.create_task(anext(queue.items(), None))
    await asyncio.sleep(0)
    await queue.end()
    assert await waiting is None
