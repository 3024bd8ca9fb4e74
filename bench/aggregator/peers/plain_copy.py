"""The ceiling of moving objects: S3 to S3 through this process, as many objects at once as there are cores."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import PurePosixPath

from bench.aggregator.peers.job import Job, read_job, timed
from bench.s3_client import CHUNK, S3Client, chunks, in_parts

_PART = 8 * 1024 * 1024


def main() -> None:
    """Stream each object into a multipart upload, or into one PUT when it is no larger than a part."""
    job = read_job()
    with timed(), ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(_copy, job), job.keys))


def _copy(job: Job, key: str) -> None:
    source, target = S3Client(job.store), S3Client(job.store)
    answer = source.get(job.source_bucket, key)
    new = f"{job.target}{PurePosixPath(key).name}"
    size = int(answer.getheader("Content-Length", "0"))
    if size <= _PART:
        target.put(job.target_bucket, new, chunks(answer), size)
        return
    upload = target.create_multipart_upload(job.target_bucket, new)
    parts = in_parts(chunks(answer), _PART // CHUNK)
    etags = [
        target.upload_part(job.target_bucket, new, upload, number, part) for number, part in enumerate(parts, start=1)
    ]
    target.complete_multipart_upload(job.target_bucket, new, upload, etags)


if __name__ == "__main__":
    main()
