"""Signs a report with the platform's key, and verifies one.

The file holds the document and a detached JWS (RFC 7515, appendix F) over the SHA-256 of its canonical JSON: a report
is longer than what JWS libraries take. Its ``typ`` and the lack of ``iss``, ``aud`` and ``exp`` keep a signature from
ever being taken for an access token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from voicehelper_core.auth import REGISTRY
from voicehelper_core.ports import SecretStore
from voicehelper_core.signing_keys import KeyRing

from voicehelper_cli.failures import Failure
from voicehelper_cli.isolation.report import KIND

_SIGNING_KEY = "signing-key"
_TYPE = f"{KIND}+jws"


def digest(document: Any) -> bytes:
    """The bytes that are signed: SHA-256, in hexadecimal digits, of the document's canonical JSON."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest().encode()


async def sign(document: dict[str, Any], page: str, secrets: SecretStore) -> dict[str, Any]:
    """The document with the digest of its page and, where this user may read the platform's key, a signature."""
    body = {**document, "page_sha256": hashlib.sha256(page.encode()).hexdigest()}
    try:
        raw = await secrets.get(_SIGNING_KEY)
    except PermissionError:
        raw = None
    if raw is None:
        return {"report": body, "signature": None}
    key = KeyRing.of(raw).signer(time.time())
    header = {"alg": "EdDSA", "kid": key.kid, "typ": _TYPE}
    compact = jws.serialize_compact(header, digest(body), key.private, registry=REGISTRY)
    head, _, signature = compact.split(".")
    return {"report": body, "signature": f"{head}..{signature}"}


def verify(signed: Any, keys: Any, page: str | None = None) -> dict[str, Any]:
    """The report of a signed file. ``keys`` is the platform's key set. Raises Failure that says what is wrong."""
    body = signed.get("report") if isinstance(signed, dict) else None
    if not isinstance(body, dict) or body.get("kind") != KIND:
        raise Failure("this is not an isolation report")
    signature = signed.get("signature")
    if not isinstance(signature, str) or signature.count(".") != 2:
        raise Failure("the report is not signed: run the proof as a user who may read the platform's signing key")
    head, _, tail = signature.split(".")
    payload = base64.urlsafe_b64encode(digest(body)).rstrip(b"=").decode()
    try:
        found = jws.deserialize_compact(f"{head}.{payload}.{tail}", KeySet.import_key_set(keys), registry=REGISTRY)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise Failure(
            f"the signature does not fit the report ({type(error).__name__}): it was changed, another platform"
            " signed it, or the key has been withdrawn since"
        ) from None
    if found.headers().get("typ") != _TYPE:
        raise Failure("the signature was made for something else")
    if page is not None and hashlib.sha256(page.encode()).hexdigest() != body.get("page_sha256"):
        raise Failure("the Markdown page is not the one that belongs to the signed report: it was changed")
    return body
