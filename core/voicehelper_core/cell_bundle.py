"""A cell's bundle of credentials: which of its two accounts is the workload's, and the names of their passwords.

The first account's passwords have the names that they had before there were two, so every bundle of before is one of
account ``a``. A password of an account that is closed in the stores is not in the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping

from voicehelper_core.names import Account

CURRENT = "current"
POSTGRES, KAFKA, OBJECTS = "postgres_password", "kafka_password", "objects_secret_key"
MIGRATOR = "migrator_password"


def current(bundle: Mapping[str, str]) -> Account:
    """The account that the workload uses, or is about to."""
    return "b" if bundle.get(CURRENT) == "b" else "a"


def other(account: Account) -> Account:
    """The one that is closed but for the time of a rotation."""
    return "a" if account == "b" else "b"


def key(secret: str, account: Account) -> str:
    """Name in the bundle of an account's password, such as that called ``kafka_password``."""
    return secret if account == "a" else f"{secret}_{account}"


def password(bundle: Mapping[str, str], secret: str) -> str:
    """The current account's. Raises KeyError where there is none."""
    return bundle[key(secret, current(bundle))]
