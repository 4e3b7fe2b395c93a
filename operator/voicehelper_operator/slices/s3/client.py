"""Signed requests to an S3 server: what concerns buckets, accounts and whatever keys strangers may have written."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

import httpx
from voicehelper_core.errors import Unavailable

_SECONDS = 20
_PAGE = 1000
"""Keys that one request lists or deletes; S3 allows no more."""
_KEY, _ERROR = re.compile(r"<Key>([^<]*)</Key>"), re.compile(r"<Error>.*?</Error>", re.DOTALL)


class S3Error(Exception):
    """The server refused. ``code`` is S3's, such as ``NoSuchBucket``, or the HTTP status where there is none."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code


@contextmanager
def unless(*codes: str) -> Iterator[None]:
    """Go on where the server refuses with one of these codes: what is asked for is so already."""
    try:
        yield
    except S3Error as error:
        if error.code not in codes:
            raise


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials."""

    access: str
    secret: str = field(repr=False)


class S3Client:
    """One server, addressed by paths: buckets need no names in DNS. Raises S3Error, Unavailable without an answer."""

    def __init__(self, endpoint: str, region: str, keys: Keys) -> None:
        self._url, self._region, self._keys = httpx.URL(endpoint.rstrip("/")), region, keys
        self._connected: httpx.AsyncClient | None = None

    @property
    def _http(self) -> httpx.AsyncClient:
        if self._connected is None:
            self._connected = httpx.AsyncClient(base_url=self._url, timeout=_SECONDS, trust_env=False)
        return self._connected

    async def close(self) -> None:
        """Disconnect."""
        if self._connected is not None:
            await self._connected.aclose()

    async def call(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: str = "", keys: Keys | None = None
    ) -> str:
        """The answer's text; as the administrator, or with the ``keys`` of somebody else."""
        target = path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        return (await self._send(method, target, body.encode(), keys or self._keys)).text

    async def _send(self, method: str, target: str, body: bytes, keys: Keys) -> httpx.Response:
        headers = self._signed(method, target, body, keys)
        try:
            answer = await self._http.request(method, target, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise Unavailable(f"the S3 server at {self._url} does not answer ({type(error).__name__})") from error
        if answer.status_code >= 300:
            raise _refused(answer.text, answer.status_code)
        return answer

    async def download(self, bucket: str, key: str) -> bytes:
        """One object, whole: a cell takes none that is larger than some megabytes."""
        return (await self._send("GET", f"/{bucket}/{quote(key)}", b"", self._keys)).content

    async def upload(self, bucket: str, key: str, content: bytes) -> None:
        """Write one object."""
        await self._send("PUT", f"/{bucket}/{quote(key)}", content, self._keys)

    def _headers(self, body: bytes) -> list[tuple[str, str]]:
        # Some calls want a digest of their body; MD5 is the one that every product takes.
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        return [("Host", self._url.netloc.decode()), *([("Content-MD5", digest)] if body else [])]

    def _signed(self, method: str, target: str, body: bytes, keys: Keys) -> dict[str, str]:
        from awscrt import auth, http

        request = http.HttpRequest(method, target, http.HttpHeaders(self._headers(body)), io.BytesIO(body))
        config = auth.AwsSigningConfig(
            credentials_provider=auth.AwsCredentialsProvider.new_static(keys.access, keys.secret),
            region=self._region,
            service="s3",
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        )
        auth.aws_sign_request(request, config).result(_SECONDS)
        return dict(request.headers)

    async def make_bucket(self, bucket: str) -> None:
        """Make it, where it is not there."""
        place = f"<LocationConstraint>{escape(self._region)}</LocationConstraint>"
        body = f"<CreateBucketConfiguration>{place}</CreateBucketConfiguration>"
        with unless("BucketAlreadyOwnedByYou"):  # us-east-1 is where a bucket is made that names no region
            await self.call("PUT", f"/{bucket}", body="" if self._region == "us-east-1" else body)

    async def listed(
        self, bucket: str, prefix: str = "", *, limit: int = _PAGE, after: str = "", keys: Keys | None = None
    ) -> list[str]:
        """The first keys below a prefix, behind ``after``."""
        query = {"list-type": "2", "max-keys": str(limit), "prefix": prefix}
        if after:
            query["start-after"] = after
        text = await self.call("GET", f"/{bucket}", query, keys=keys)
        return [html.unescape(key) for key in _KEY.findall(text)]

    async def empty(self, bucket: str, prefix: str = "") -> None:
        """Remove all objects below a prefix, under whatever keys: obstore would not find ``a/`` again, nor ``a//b``."""
        before: list[str] = []
        while keys := await self.listed(bucket, prefix):
            if keys == before:
                raise S3Error("NotDeleted", f"{len(keys)} objects of {bucket} are still there after their deletion")
            await self.remove(bucket, keys)
            before = keys

    async def remove(self, bucket: str, keys: list[str]) -> None:
        """Remove objects; no error for those that are gone."""
        objects = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
        answer = await self.call("POST", f"/{bucket}", {"delete": ""}, f"<Delete>{objects}</Delete>")
        if failed := _ERROR.search(answer):
            raise _refused(failed[0], 200)


def _refused(text: str, status: int) -> S3Error:
    code, message = (re.search(f"<{name}>([^<]*)</{name}>", text) for name in ("Code", "Message"))
    return S3Error(code[1] if code else str(status), html.unescape(message[1]) if message else "")
