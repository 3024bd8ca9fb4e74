"""The peer plain Python: gzip, json and zipfile, from S3 to S3."""

import gzip
import json
import zipfile
from pathlib import Path, PurePosixPath

from bench.aggregator.peers.job import Job, read_job, timed
from bench.s3_client import S3Client


def main() -> None:
    """Select line by line."""
    job = read_job()
    with timed():
        client = S3Client(job.store)
        with zipfile.ZipFile(job.output, "w", zipfile.ZIP_DEFLATED) as archive:
            for key in job.keys:
                _select(client, job, key, archive)
        data = Path(job.output).read_bytes()
        client.put(job.target_bucket, job.target, data, len(data))


def _select(client: S3Client, job: Job, key: str, archive: zipfile.ZipFile) -> None:
    name = PurePosixPath(key).name.removesuffix(".gz")
    with gzip.GzipFile(fileobj=client.get(job.source_bucket, key)) as lines, archive.open(name, "w") as member:
        for line in lines:
            if json.loads(line).get("context", {}).get("channel") == job.channel:
                member.write(line)


if __name__ == "__main__":
    main()
