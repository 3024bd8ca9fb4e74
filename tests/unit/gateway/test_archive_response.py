import pytest
from aiohttp.test_utils import make_mocked_request

from exhaust.s3.object_info import ObjectInfo
from services.gateway.archive_response import Download, UnsatisfiableRangeError, is_not_modified, requested_range

SIZE = 100
DOWNLOAD = Download(ObjectInfo("requests/a.zip", "etag of the store", SIZE), "digest", "a.zip")
WHOLE = None


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=10-19", range(10, 20)),
        ("bytes=7-", range(7, SIZE)),
        ("bytes=-5", range(95, SIZE)),
        ("bytes=-1000", range(SIZE)),
        ("bytes=0-1000", range(SIZE)),
        ("bytes=99-" + "9" * 30, range(99, SIZE)),
        # Not what a range is, or more than one: the whole is answered.
        ("bytes=20-10", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=", WHOLE),
        ("bytes=1-2,5-6", WHOLE),
        ("bytes=1-2, 5-6", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=+1-2", WHOLE),
        ("bytes=1-٢", WHOLE),
        ("bytes=0-" + "9" * 5000, WHOLE),
        ("lines=1-2", WHOLE),
        ("", WHOLE),
    ],
)
def test_a_range_header_selects_bytes_or_the_whole(asked: str, part: range | None) -> None:
    assert requested_range(make_mocked_request("GET", "/", headers={"Range": asked}), DOWNLOAD) == part


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE}", "bytes=-0", "bytes=-00"])
def test_a_range_behind_the_end_is_refused(asked: str) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        requested_range(make_mocked_request("GET", "/", headers={"Range": asked}), DOWNLOAD)


@pytest.mark.parametrize(
    ("condition", "part"),
    [('"digest"', range(5, SIZE)), ('W/"digest"', WHOLE), ('"other"', WHOLE), ("digest", WHOLE)],
)
def test_if_range_with_another_tag_selects_the_whole(condition: str, part: range | None) -> None:
    headers = {"Range": "bytes=5-", "If-Range": condition}
    assert requested_range(make_mocked_request("GET", "/", headers=headers), DOWNLOAD) == part


def test_without_a_range_the_whole_is_answered() -> None:
    assert requested_range(make_mocked_request("GET", "/", headers={"If-Range": '"digest"'}), DOWNLOAD) is WHOLE


@pytest.mark.parametrize(
    ("tags", "known"),
    [
        ('"digest"', True),
        ('W/"digest"', True),
        ('"other", W/"digest"', True),
        ("*", True),
        ('"other"', False),
        ("digest", False),
        ("", False),
    ],
)
def test_if_none_match_is_compared_weakly(tags: str, *, known: bool) -> None:
    assert is_not_modified(make_mocked_request("GET", "/", headers={"If-None-Match": tags}), DOWNLOAD) is known


def test_without_if_none_match_the_archive_is_sent() -> None:
    assert not is_not_modified(make_mocked_request("GET", "/"), DOWNLOAD)
