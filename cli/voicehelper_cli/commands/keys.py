"""``voicehelper keys list | rotate``: the keys that sign access tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voicehelper_cli.commands.running import JsonOption, home_of
from voicehelper_cli.context import Home
from voicehelper_cli.failures import Failure
from voicehelper_cli.output import age, note, say, say_json, table

if TYPE_CHECKING:
    from voicehelper_core.signing_keys import KeyRing, SigningKey


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="The keys that sign access tokens.", no_args_is_help=True)
    group.command("list")(listing)
    group.command()(rotate)
    app.add_typer(group, name="keys")


def listing(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show which key signs, which ones are shown to verifiers, and whether it is time for a new one."""
    from voicehelper_core import key_rotation, signing_key_file

    with _file(home_of(context)) as path:
        ring, changed, now = signing_key_file.read(path), path.stat().st_mtime, time.time()
    keys = [_described(ring, key, now, changed) for key in ring.keys]
    reason = key_rotation.due(ring, now, changed)
    if as_json:
        say_json({"keys": keys, "due": reason is not None})
        return
    rows = [[key["kid"], key["state"], key["signs_from"], _age(key), key["withdrawn_at"]] for key in keys]
    say(table(["KEY", "STATE", "SIGNS-FROM", "AGE", "WITHDRAWN"], rows))
    if reason:
        note(f"{reason} with `voicehelper keys rotate`")


def rotate(
    context: typer.Context,
    *,
    lead: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", min=0, help="How long verifiers are shown the new key before it signs."),
    ] = None,
    emergency: Annotated[
        bool,
        typer.Option("--emergency", help="A key was stolen: a new one signs at once, all others are withdrawn."),
    ] = False,
) -> None:
    """Let a new key follow the one that signs; no request fails."""
    from voicehelper_core import key_rotation, signing_key_file
    from voicehelper_core.errors import Conflict
    from voicehelper_core.signing_keys import LEAD_SECONDS

    if emergency and lead is not None:
        raise typer.BadParameter("in an emergency the new key signs at once: leave --lead out")
    seconds = LEAD_SECONDS if lead is None else lead
    lines: list[str] = []

    def how(ring: KeyRing) -> KeyRing:
        now = time.time()
        after = key_rotation.rotated(ring, now, lead=seconds, emergency=emergency)
        lines.extend(key_rotation.told(ring, after, now))
        return after

    with _file(home_of(context)) as path:
        try:
            signing_key_file.change(path, how)
        except Conflict as refused:
            raise Failure(refused.detail) from None
    for line in lines:
        say(line)


@contextmanager
def _file(home: Home) -> Iterator[Path]:
    """The file of the keys. Raises Failure where it is missing, broken, or not this user's to read."""
    path = home.folder / "secrets" / "signing-key.json"
    try:
        yield path
    except PermissionError:
        raise home.denied() from None
    except (FileNotFoundError, NotADirectoryError):
        raise Failure("there is no signing key yet: `voicehelper up` makes one") from None
    except ValueError as error:
        raise Failure(f"{path} is broken: {error}") from None


def _described(ring: KeyRing, key: SigningKey, now: float, changed: float) -> dict[str, Any]:
    """``changed`` stands for the beginning of a key without a date: it is that old at least."""
    withdrawn = ring.withdrawn_at(key)
    if key is ring.signer(now):
        state = "signs"
    elif key is ring.coming(now):
        state = "follows"
    else:
        state = "verifies" if key in ring.shown(now) else "withdrawn"
    since = key.signs_from or changed
    return {
        "kid": key.kid,
        "state": state,
        "signs_from": _time(key.signs_from or None),
        "age_seconds": int(now - since) if since <= now else None,
        "withdrawn_at": _time(withdrawn),
    }


def _age(key: dict[str, Any]) -> str:
    seconds = key["age_seconds"]
    if seconds is None:
        return "-"
    now = datetime.now(UTC)
    return age(datetime.fromtimestamp(now.timestamp() - seconds, UTC), now)


def _time(seconds: float | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None
