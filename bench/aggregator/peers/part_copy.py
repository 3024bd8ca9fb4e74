"""The ceiling of assembling: UploadPartCopy joins the objects, several calls at once, and nothing else."""

from concurrent.futures import ThreadPoolExecutor

from bench.aggregator.peers.job import Job, read_job, timed
from bench.s3_client import S3Client

_AT_ONCE = 4


def main() -> None:
    """Copy within the target bucket; each object is a part."""
    job = read_job()
    with timed():
        client = S3Client(job.store)
        upload = client.create_multipart_upload(job.target_bucket, job.target)

        def copy(number: int) -> str:
            return _copy(job, upload, number)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            etags = list(pool.map(copy, range(1, len(job.keys) + 1)))
        client.complete_multipart_upload(job.target_bucket, job.target, upload, etags)


def _copy(job: Job, upload: str, number: int) -> str:
    return S3Client(job.store).upload_part_copy(job.target_bucket, job.target, upload, number, job.keys[number - 1])


if __name__ == "__main__":
    main()
