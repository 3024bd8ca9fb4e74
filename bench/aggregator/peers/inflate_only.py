"""The ceiling of reading gzip: isal inflates every object of the day on all cores and drops the bytes."""

import multiprocessing
import os
import zlib
from pathlib import Path

from isal import isal_zlib

from bench.aggregator.peers.job import read_job, timed

_PIECE = 1024 * 1024
_GZIP_WBITS = 31


def main() -> None:
    """Inflate from the page cache; the processes are started before the clock."""
    job = read_job()
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        pool.map(zlib.crc32, [b""] * 64)
        with timed():
            pool.map(_inflate, job.files, chunksize=1)


def _inflate(path: str) -> int:
    inflater = isal_zlib.decompressobj(_GZIP_WBITS)
    size = len(inflater.decompress(Path(path).read_bytes(), _PIECE))
    while not inflater.eof:
        size += len(inflater.decompress(inflater.unconsumed_tail, _PIECE))
    return size


if __name__ == "__main__":
    main()
