"""Gets what is wanted into one file: request, wait, download, verify."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

from telemetry_exhaust.download import Download, file_digest, forget_state
from telemetry_exhaust.download_check import check_digests, open_download
from telemetry_exhaust.errors import DownloadError, UsageError
from telemetry_exhaust.ranged_reads import RangedReader
from telemetry_exhaust.safe_text import safe_text
from telemetry_exhaust.waiting import check_complete, submit, wait

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry_exhaust.api import Api, Wanted
    from telemetry_exhaust.http import Http
    from telemetry_exhaust.profile import Profile
    from telemetry_exhaust.status import Status


@dataclass(frozen=True)
class Watcher:
    """Who is told how far it is.

    Attributes:
        status: is told each state of the request.
        bytes: is told the bytes that are there, and all of them.
        watched: somebody looks at it.
    """

    status: Callable[[Status], None]
    bytes: Callable[[int, int], None]
    watched: bool = False


@dataclass(frozen=True)
class Fetched:
    """A file that is there.

    Attributes:
        new: it was downloaded just now.
        partial: the request has failed, and this holds the days that did not fail.
    """

    path: Path
    request: str
    new: bool
    partial: bool = False


@dataclass(frozen=True)
class Fetcher:
    """Gets files from one gateway with one license key."""

    api: Api
    http: Http
    profile: Profile

    def fetch(
        self, wanted: Wanted, target: Path, watcher: Watcher, *, within: float | None = None, partial: bool = False
    ) -> Fetched:
        """Get what is wanted into a file; one that is there already and right stays as it is.

        Args:
            partial: of a request that failed, get the days that did not fail, into a file named .partial.zip.

        Raises:
            StillRunningError: the request has not ended within so many seconds.
            RequestFailedError: it has failed.
            ExhaustError: anything else that the gateway or the store refuses.
            OSError: the file cannot be written.
        """
        check_place(wanted, target)
        return self.download(self.start(wanted), target, watcher, within=within, partial=partial)

    def start(self, wanted: Wanted) -> Status:
        """Submit what is wanted, or take up the request of before; see waiting.submit."""
        return submit(self.api, self.profile, wanted)

    def download(
        self, status: Status, target: Path, watcher: Watcher, *, within: float | None = None, partial: bool = False
    ) -> Fetched:
        """Wait for a request, and get its download; see fetch."""
        status = wait(self.api, status, watcher.status, within=within, watched=watcher.watched)
        if partial and status.partial_url:
            return self._download_partial(status, partial_file(target), watcher)
        check_complete(status)
        new = not is_there(target, status)
        if new:
            target.parent.mkdir(parents=True, exist_ok=True)
            first = self.api.download_link(status.request) or status.url or ""
            reader = RangedReader(self.http, first, lambda: self._link(status.request))
            Download(target, reader, watcher.bytes).run(status.sha256, check_digests)
        forget_state(target)
        partial_file(target).unlink(missing_ok=True)  # or its days would be in the folder twice
        return Fetched(target, status.request, new=new)

    def _download_partial(self, status: Status, target: Path, watcher: Watcher) -> Fetched:
        def link() -> str:
            found = self.api.download_link(status.request, partial=True)
            return found or self.api.status(status.request).partial_url or ""

        target.parent.mkdir(parents=True, exist_ok=True)
        Download(target, RangedReader(self.http, link(), link), watcher.bytes).run(None, check_digests)
        return Fetched(target, status.request, new=True, partial=True)

    def _link(self, request: str) -> str:
        if link := self.api.download_link(request):
            return link
        status = self.api.status(request)
        check_complete(status)
        return status.url or ""


def partial_file(target: Path) -> Path:
    """Return where the days go that did not fail, when others did."""
    return target.with_name(f"{target.stem}.partial.zip")


def is_there(target: Path, status: Status) -> bool:
    """Return True when a file has the bytes of a complete request, as far as its status tells them."""
    try:
        if status.size is not None and status.size != target.stat().st_size:
            return False
        if status.sha256 is not None:
            return file_digest(target) == status.sha256
        check_digests(target)
    except (FileNotFoundError, DownloadError):
        return False
    return True


def check_place(wanted: Wanted, target: Path) -> None:
    """Return when a file may be replaced by what is wanted.

    Raises:
        UsageError: it is a download of something else.
    """
    try:
        with open_download(target) as (_, _, manifest):
            told = manifest.request
    except DownloadError:
        return
    if (told.get("resourceid"), told.get("tags")) != (wanted.resource, sorted(wanted.tags)):
        raise UsageError(f"{safe_text(target)} is there, and holds other data; name another folder")
