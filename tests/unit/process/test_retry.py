"""Work that is tried again: only while it may pass by itself, and no longer than allowed."""

from datetime import timedelta

import pytest
import stamina

from exhaust.errors import ErrorCode, ExhaustError, unavailable
from exhaust.process.retry import retry_while_unavailable


async def tries(error: Exception, *, failures: int, give_up_after: timedelta | None) -> int:
    """How often work was begun that fails so many times."""
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun <= failures:
            raise error

    with stamina.set_testing(testing=True, attempts=10):  # does not wait in between
        await retry_while_unavailable(work, give_up_after=give_up_after)
    return begun


@pytest.mark.parametrize("give_up_after", [timedelta(minutes=1), None])
async def test_work_is_tried_again_until_the_server_is_back(give_up_after: timedelta | None) -> None:
    assert await tries(unavailable("S3"), failures=3, give_up_after=give_up_after) == 4


@pytest.mark.parametrize("error", [ExhaustError(ErrorCode.LIMIT_EXCEEDED, "too large"), ValueError("a defect")])
async def test_an_error_that_is_not_retryable_is_raised_at_once(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        await tries(error, failures=1, give_up_after=None)
    assert raised.value is error
    assert raised.value.__context__ is None


async def test_the_last_failure_is_raised_when_the_time_is_over() -> None:
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        raise unavailable("S3")

    with pytest.raises(ExhaustError, match="S3 does not answer"):
        await retry_while_unavailable(work, give_up_after=timedelta(milliseconds=50))
    assert begun == 3, "at once, soon, and once more when the time is over"
