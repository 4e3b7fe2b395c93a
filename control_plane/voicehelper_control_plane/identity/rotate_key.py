"""``rotate-key``: the keys in, the keys after a rotation out. For Kubernetes, where they are part of a Secret.

What is read are the keys themselves, so nothing else of the Secret gets here. Where a rotation is refused nothing is
written, and ``kubectl patch`` changes nothing with that.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
from collections.abc import Sequence
from typing import TextIO

from voicehelper_core import key_rotation, signing_key_file
from voicehelper_core.errors import Conflict
from voicehelper_core.signing_keys import LEAD_SECONDS

_KEY = "signing-key.json"


def main(arguments: Sequence[str], given: TextIO = sys.stdin, made: TextIO = sys.stdout) -> None:
    """Rotate the keys of standard input. Raises SystemExit with what is wrong."""
    options = _parser().parse_args(arguments)
    now = time.time()
    try:
        before = signing_key_file.parse(given.read())
        after = key_rotation.rotated(before, now, lead=options.lead, emergency=options.emergency)
    except (ValueError, Conflict) as error:
        raise SystemExit(f"not rotated: {error}") from None
    text = signing_key_file.dump(after)
    if options.patch:
        text = json.dumps({"data": {_KEY: base64.b64encode(text.encode()).decode()}}) + "\n"
    made.write(text)
    made.flush()
    sys.stderr.write("".join(f"{line}\n" for line in key_rotation.told(before, after, now)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "voicehelper_control_plane rotate-key",
        description="Reads the signing keys from standard input and writes them with a new one to standard output.",
    )
    parser.add_argument(
        "--lead",
        type=_seconds,
        default=LEAD_SECONDS,
        metavar="SECONDS",
        help=f"how long verifiers are shown the new key before it signs (default: {LEAD_SECONDS})",
    )
    parser.add_argument(
        "--emergency", action="store_true", help="a key was stolen: a new one signs at once, all others are withdrawn"
    )
    parser.add_argument("--patch", action="store_true", help="write a patch of the Secret, for kubectl patch")
    return parser


def _seconds(text: str) -> int:
    seconds = int(text)
    if seconds < 0:
        raise ValueError
    return seconds
