"""The reading speed of callers, on a clock that the tests turn."""

from datetime import timedelta

from exhaust.http.reading_speed import ReadingSpeed

WINDOW = timedelta(seconds=30)
LEAST = 1000


def test_who_reads_nothing_is_too_slow_when_the_window_is_full() -> None:
    speed = ReadingSpeed(WINDOW, LEAST)
    speed.start_waiting(100.0, 1_000_000)
    assert speed.seconds_left() == 30
    assert not speed.is_too_slow(129.0, 1_000_000)
    assert speed.seconds_left() == 1
    assert speed.is_too_slow(130.0, 1_000_000)


def test_some_bytes_now_and_then_are_not_enough() -> None:
    speed = ReadingSpeed(WINDOW, LEAST)
    speed.start_waiting(0.0, 1_000_000)
    for second in range(1, 30):
        assert not speed.is_too_slow(float(second), 1_000_000 - second * (LEAST - 1))
    assert speed.is_too_slow(30.0, 1_000_000 - 30 * (LEAST - 1))


def test_who_reads_fast_enough_may_read_for_ever() -> None:
    speed = ReadingSpeed(WINDOW, LEAST)
    unread = 1_000_000
    speed.start_waiting(0.0, unread)
    for second in range(1, 900):
        unread -= LEAST
        assert not speed.is_too_slow(float(second), unread)


def test_waits_between_which_the_caller_made_room_add_up() -> None:
    speed = ReadingSpeed(WINDOW, LEAST)
    for number in range(3):
        began = number * 100.0
        speed.start_waiting(began, 64_000)
        assert speed.is_too_slow(began + 10, 63_000) is (number == 2)
        speed.stop_waiting()


def test_time_in_which_nobody_waits_for_the_caller_does_not_count() -> None:
    speed = ReadingSpeed(WINDOW, LEAST)
    speed.start_waiting(0.0, 64_000)
    assert not speed.is_too_slow(1.0, 0)
    speed.stop_waiting()
    assert not speed.is_too_slow(500.0, 0)
    assert speed.seconds_left() == 29


def test_each_window_is_judged_alone() -> None:
    speed = ReadingSpeed(WINDOW, LEAST)
    speed.start_waiting(0.0, 10_000_000)
    assert not speed.is_too_slow(30.0, 1_000_000)
    assert speed.is_too_slow(60.0, 1_000_000)


def test_a_speed_that_is_just_enough_is_enough_and_one_byte_less_is_not() -> None:
    for missing in (0, 1):
        speed = ReadingSpeed(WINDOW, LEAST)
        speed.start_waiting(5.0, 100_000)
        assert speed.is_too_slow(35.0, 100_000 - 30 * LEAST + missing) is bool(missing)


def test_bytes_that_are_added_meanwhile_take_nothing_back() -> None:
    speed = ReadingSpeed(WINDOW, LEAST)
    speed.start_waiting(0.0, 100_000)
    assert not speed.is_too_slow(10.0, 70_000)
    assert not speed.is_too_slow(20.0, 170_000)
    assert not speed.is_too_slow(30.0, 170_000)
    assert speed.seconds_left() == 30


def test_a_window_that_is_more_than_full_leaves_no_time() -> None:
    speed = ReadingSpeed(WINDOW, LEAST)
    speed.start_waiting(0.0, 10)
    speed.stop_waiting()
    speed.start_waiting(100.0, 10)
    assert not speed.is_too_slow(129.5, 10)
    assert speed.seconds_left() == 0.5
    assert speed.is_too_slow(170.0, 10)
    assert speed.seconds_left() == 30
