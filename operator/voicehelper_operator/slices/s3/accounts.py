"""Accounts of an S3 server: the one thing that every product does in its own way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol
from xml.sax.saxutils import escape

from voicehelper_operator.slices.s3.client import Keys, S3Client, S3Error, unless

_UNKNOWN, _OTHER_SECRET = "InvalidAccessKeyId", "SignatureDoesNotMatch"


class Accounts(Protocol):
    """Who may come in, and to what. Every method is idempotent, and raises S3Error and Unavailable."""

    async def missing(self, accounts: Sequence[Keys], bucket: str) -> list[str]:
        """What of the accounts and of their right to the bucket, which nobody else has, is not as it should be."""
        ...

    async def exists(self, access: str) -> bool:
        """Whether there is such an account."""
        ...

    async def create(self, keys: Keys) -> None:
        """Make the account, or give the one that is there this secret key; it may reach nothing yet."""
        ...

    async def allow(self, accounts: Sequence[str], bucket: str) -> None:
        """Let them, and nobody else, read, write and delete the objects of one bucket, and nothing else."""
        ...

    async def close(self, bucket: str) -> None:
        """Let nobody into the bucket; no error where there is none."""
        ...

    async def remove(self, access: str) -> None:
        """Remove the account; no error for what is gone."""
        ...


class VersityAccounts:
    """versitygw with ``--iam-dir``: accounts by its administration API, rights by the bucket's policy.

    The bucket stays the administrator's. An owner could delete it, open it to everybody, or hand it on.
    """

    def __init__(self, client: S3Client) -> None:
        self._client = client

    async def missing(self, accounts: Sequence[Keys], bucket: str) -> list[str]:
        found = []
        for keys in accounts:
            try:  # no cell may do this, so it tells one that can log in from one that can do too much
                await self._client.call("GET", f"/{bucket}", {"policy": ""}, keys=keys)
                found.append(f"role of account {keys.access}")
            except S3Error as error:
                if error.code in (_UNKNOWN, _OTHER_SECRET):
                    found.append(f"account {keys.access}")
        policy = None
        with unless("NoSuchBucketPolicy", "NoSuchBucket"):
            policy = json.loads(await self._client.call("GET", f"/{bucket}", {"policy": ""}))
        wanted = _policy([keys.access for keys in accounts], bucket)
        return found if policy == wanted else [*found, f"policy of bucket {bucket}"]

    async def exists(self, access: str) -> bool:
        try:
            await self._client.call("GET", "/", keys=Keys(access, "nobody's"))
        except S3Error as error:
            return error.code != _UNKNOWN
        return True

    async def create(self, keys: Keys) -> None:
        secret = f"<Secret>{escape(keys.secret)}</Secret><Role>user</Role>"
        account = f"<Account><Access>{escape(keys.access)}</Access>{secret}</Account>"
        try:
            await self._client.call("PATCH", "/create-user", body=account)
        except S3Error as error:
            if error.code != "XAdminUserExists":
                raise
            properties = f"<MutableProps>{secret}</MutableProps>"
            await self._client.call("PATCH", "/update-user", {"access": keys.access}, properties)

    async def allow(self, accounts: Sequence[str], bucket: str) -> None:
        await self._client.call("PUT", f"/{bucket}", {"policy": ""}, json.dumps(_policy(accounts, bucket)))

    async def close(self, bucket: str) -> None:
        with unless("NoSuchBucket", "NoSuchBucketPolicy"):
            await self._client.call("DELETE", f"/{bucket}", {"policy": ""})

    async def remove(self, access: str) -> None:
        with unless("XAdminUserNotFound"):
            await self._client.call("PATCH", "/delete-user", {"access": access})


def _policy(accounts: Sequence[str], bucket: str) -> dict[str, Any]:
    objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": sorted(accounts)}, "Action": actions, "Resource": [resource]}
            for actions, resource in (
                (["s3:ListBucket"], f"arn:aws:s3:::{bucket}"),
                (objects, f"arn:aws:s3:::{bucket}/*"),
            )
        ],
    }
