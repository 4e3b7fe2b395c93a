"""What a release may do to a schema that another release has migrated. Pure.

Revisions are named ``0001``, ``0002``, ...: later ones come after earlier ones in any release. All of them expand, so
code works with a schema of any later revision, up to one that contracts: that one says ``contract = True`` and
``follows = "0006"``, the first revision whose release does without what is removed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from voicehelper_core.errors import Unprocessable

_NAME = re.compile(r"\d{4}")


def ahead(service: str, found: str, known: Mapping[str, str | None], needed: str | None) -> bool:
    """Whether a newer release has expanded the schema, which is left as it is then.

    ``known`` has the revisions of this release, each with what it follows if it contracts, ``needed`` the oldest one
    whose release works with the schema. Raises Unprocessable where this release must not change it, or not run on it.
    """
    newest, at = max(known), f"the schema of {service} is at revision '{found}'"
    if found in known:
        follows = max((after for name, after in known.items() if after and name > found), default=found)
        if found < follows:
            raise Unprocessable(
                f"{at}, and this release removes what code of that revision needs: go by a release at"
                f" revision {follows}"
            )
        return False
    if not _NAME.fullmatch(found) or found < newest:
        raise Unprocessable(
            f"{at}, which this release does not know and which is not newer than its own ({newest}): go to"
            " the release that made it, and from there to one that knows its revision"
        )
    if needed is not None and needed > newest:
        raise Unprocessable(
            f"{at}, where nothing is left that releases before revision {needed} need; this one is at {newest}: go to"
            f" a release at revision {needed} or later"
        )
    return True
