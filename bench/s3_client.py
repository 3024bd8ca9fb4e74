"""An S3 client over plain HTTP, for the peers, the ceilings and the data that they need.

It shares nothing with the engine that is measured but botocore's signer, and each call is one HTTP request on a
connection of its own thread.
"""

from __future__ import annotations

import re
from datetime import timedelta
from http.client import HTTPConnection, HTTPResponse
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from bench.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bench.store import Store

CHUNK: Final = 1024 * 1024
_TIMEOUT: Final = timedelta(minutes=5)
_REGION: Final = "us-east-1"
_UNSIGNED_PAYLOAD: Final = Config(s3={"payload_signing_enabled": False})
_ERRORS_FROM: Final = 300
_ENTRY: Final = re.compile(r"<Contents>.*?<Key>([^<]+)</Key>.*?<Size>(\d+)</Size>.*?</Contents>", re.DOTALL)


class S3Client:
    """A client for one thread. Every call raises BenchError when the server answers with an error."""

    def __init__(self, store: Store) -> None:
        self._endpoint = store.endpoint
        self._signer = S3SigV4Auth(Credentials(store.access_key, store.secret_key), "s3", _REGION)
        host = urlsplit(store.endpoint).netloc
        self._connection = HTTPConnection(host, timeout=_TIMEOUT.total_seconds(), blocksize=CHUNK)

    def get(self, bucket: str, key: str) -> HTTPResponse:
        """Open an object; read the response to its end before the next call."""
        return self._open("GET", f"/{bucket}/{key}")

    def put(self, bucket: str, key: str, body: bytes | Iterable[bytes], size: int) -> None:
        """Write an object of a known size."""
        self._call("PUT", f"/{bucket}/{key}", body=body, headers={"Content-Length": str(size)})

    def list(self, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
        """List the keys below a prefix, with their sizes."""
        after = ""
        while True:
            query = {"list-type": "2", "prefix": prefix} | ({"start-after": after} if after else {})
            answer = self._call("GET", f"/{bucket}", query)[1].decode()
            found = [(key, int(size)) for key, size in _ENTRY.findall(answer)]
            yield from found
            if "<IsTruncated>true" not in answer:
                return
            after = found[-1][0]

    def delete_below(self, bucket: str, prefix: str) -> None:
        """Delete every object below a prefix."""
        for key, _ in list(self.list(bucket, prefix)):
            self._call("DELETE", f"/{bucket}/{key}")

    def create_multipart_upload(self, bucket: str, key: str) -> str:
        """Start a multipart upload and return its id."""
        answer = self._call("POST", f"/{bucket}/{key}", {"uploads": ""})[1].decode()
        return answer.partition("<UploadId>")[2].partition("</UploadId>")[0]

    def upload_part(self, bucket: str, key: str, upload: str, number: int, data: bytes) -> str:
        """Upload a part and return its ETag."""
        query = {"partNumber": str(number), "uploadId": upload}
        return self._call("PUT", f"/{bucket}/{key}", query, body=data)[0]["etag"]

    def upload_part_copy(self, bucket: str, key: str, upload: str, number: int, source: str) -> str:
        """Have the store copy an object of the same bucket as a part, and return the ETag of the part."""
        query = {"partNumber": str(number), "uploadId": upload}
        copied = {"x-amz-copy-source": quote(f"/{bucket}/{source}")}
        answer = self._call("PUT", f"/{bucket}/{key}", query, headers=copied)[1].decode()
        etag = re.search(r"<ETag>(.*?)</ETag>", answer)
        if etag is None:
            raise BenchError(f"UploadPartCopy of {source} answered without an ETag: {answer[:200]}")
        return etag[1].replace("&#34;", "").replace("&quot;", "")

    def complete_multipart_upload(self, bucket: str, key: str, upload: str, etags: Sequence[str]) -> None:
        """Complete a multipart upload."""
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            for number, etag in enumerate(etags, start=1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        self._call("POST", f"/{bucket}/{key}", {"uploadId": upload}, body=body)

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[dict[str, str], bytes]:
        answer = self._open(method, path, query, body=body, headers=headers)
        found = {name.lower(): value for name, value in answer.getheaders()}
        return found, answer.read()

    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> HTTPResponse:
        path = quote(path)
        written = "&".join(f"{quote(name, '')}={quote(value, '')}" for name, value in sorted((query or {}).items()))
        target = f"{path}?{written}" if written else path
        signed = AWSRequest(method, self._endpoint + target, headers)
        signed.context["client_config"] = _UNSIGNED_PAYLOAD
        self._signer.add_auth(signed)
        self._connection.request(method, target, body=body, headers=dict(signed.headers.items()))
        answer = self._connection.getresponse()
        if answer.status >= _ERRORS_FROM:
            raise BenchError(f"{method} {path} answered {answer.status}: {answer.read()[:300].decode()}")
        return answer


def chunks(answer: HTTPResponse) -> Iterator[bytes]:
    """Yield the bytes of a response as they arrive."""
    while chunk := answer.read(CHUNK):
        yield chunk


def in_parts(pieces: Iterator[bytes], pieces_each: int) -> Iterator[bytes]:
    """Join pieces, a number at a time."""
    while part := b"".join(islice(pieces, pieces_each)):
        yield part
