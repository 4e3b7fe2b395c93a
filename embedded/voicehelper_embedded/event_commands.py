"""``voicehelper events``: what could not be handled, and how to send it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from voicehelper_cli.failures import Failure
from voicehelper_cli.output import say, say_json, table

if TYPE_CHECKING:
    from voicehelper_embedded.context import Context

events = typer.Typer(help="Events that could not be handled.", no_args_is_help=True)


@events.command()
def dead(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List dead letters: where each event stood, who could not handle it, and why."""
    from voicehelper_embedded import dead_letters

    letters = dead_letters.listed(_context())
    if as_json:
        say_json([letter.shown() for letter in letters])
        return
    rows = [(one.id, one.by, one.seen, str(one.size_bytes), one.reason[:100]) for one in letters]
    say(table(("EVENT", "BY", "SEEN", "BYTES", "REASON"), rows) if rows else "There are no dead letters.")


@events.command()
def replay(event: Annotated[str, typer.Argument(help="<topic>/<partition>/<offset>, as `dead` lists it.")]) -> None:
    """Send an event back to the end of its topic, once what could not handle it was mended."""
    from voicehelper_embedded import dead_letters

    dead_letters.replay(_context(), event)
    say(f"{event} was sent to its topic again.")


def _context() -> Context:
    from voicehelper_embedded.context import Context
    from voicehelper_embedded.home import Home

    try:
        return Context.load(Home.current())
    except (FileNotFoundError, KeyError):
        raise Failure("there is no platform here: start one with `voicehelper up`") from None
    except PermissionError:
        raise Failure("permission denied: run this as the user that ran `voicehelper up`") from None
