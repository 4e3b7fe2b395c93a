"""Commands of the one-machine platform: ``up down clean status logs doctor stop start events``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import typer
from voicehelper_cli.failures import Failure
from voicehelper_cli.output import say, say_json, table

from voicehelper_embedded.event_commands import events

_ORDER_SECONDS = 180


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(logs)
    app.command()(doctor)
    app.command()(stop)
    app.command()(start)
    app.add_typer(events, name="events")

    @app.command()
    def up(
        demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Show the platform's main job at the end.")] = True,
    ) -> None:
        """Start the whole platform on this machine (again at any time)."""
        from voicehelper_embedded import demo as demonstration
        from voicehelper_embedded import lifecycle
        from voicehelper_embedded.home import Home
        from voicehelper_embedded.progress import Progress

        home, progress = Home.current(), Progress()
        say(f"Starting VoiceHelper Cells in {home.folder}")
        lifecycle.up(home, progress)
        if demo:
            demonstration.run(home, progress)
        say(f"Everything is ready after {progress.elapsed:.1f} s.")

    @app.command()
    def down() -> None:
        """Stop everything; data stays."""
        from voicehelper_embedded import lifecycle
        from voicehelper_embedded.home import Home

        count = lifecycle.down(Home.current())
        say(f"Stopped {count} processes; data stays." if count else "Nothing was running.")

    @app.command()
    def clean() -> None:
        """Stop everything and remove all data and users of the platform."""
        from voicehelper_embedded import lifecycle
        from voicehelper_embedded.home import Home

        home = Home.current()
        say(
            f"Removed {home.folder} and its users." if lifecycle.clean(home) else f"Nothing to remove in {home.folder}."
        )

    @app.command()
    def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
        """Show what runs, with ports and memory."""
        from voicehelper_embedded import status as view
        from voicehelper_embedded.home import Home

        described = view.describe(Home.current())
        say_json(described) if as_json else say(view.text(described))


def logs(
    component: Annotated[str, typer.Argument(help="A component, as `status` names it; also `supervisor`.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines are written.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the last lines.")] = 50,
) -> None:
    """Show the log of a component."""
    from voicehelper_embedded.home import Home

    folder = Home.current().logs
    path = folder / f"{component}.log"
    try:
        known = sorted(file.stem for file in folder.glob("*.log"))
    except PermissionError:
        raise Failure(f"permission denied on {folder}: run this as the user that ran `voicehelper up`") from None
    if component not in known:
        raise Failure(f"no log of '{component}'; there are: {', '.join(known) or 'none yet'}")
    with path.open(errors="replace") as file:
        for line in file.readlines()[-lines:] if lines else []:
            say(line.rstrip("\n"))
        file.seek(0, 2)
        while follow:
            if line := file.readline():
                say(line.rstrip("\n"))
            else:
                time.sleep(0.2)


def doctor() -> None:
    """Check what the machine must have, and say how to get what is missing."""
    from voicehelper_embedded import preflight

    needs = preflight.needs()
    rows = [(need.name, need.found or "MISSING", need.why) for need in needs]
    say(table(("NEED", "FOUND", "FOR"), rows))
    if lacking := [need.package for need in needs if need.found is None]:
        raise Failure(f"install with: apt-get install -y {' '.join(lacking)}")
    say("Nothing is missing.")


Component = Annotated[str, typer.Argument(help="A component, as `status` names it.")]


def stop(component: Component) -> None:
    """Stop one component and keep it stopped, until `start`, `up` or the supervisor's next start."""
    _order(component, "stop", lambda state: state == "held")


def start(component: Component) -> None:
    """Run a stopped component again, and wait until it is ready."""
    _order(component, "start", lambda state: state == "ready")


def _order(component: str, order: str, reached: Callable[[str], bool]) -> None:
    from voicehelper_embedded import client
    from voicehelper_embedded.home import Home

    home = Home.current()
    described = client.components(home, memory=False)
    if described is None:
        raise Failure("the platform is not running: start it with `voicehelper up`")
    known = [item["name"] for item in described["components"]]
    if component not in known:
        raise Failure(f"no component '{component}'; there are: {', '.join(known)}")
    client.call(home, "POST", f"/components/{component}/{order}")
    end = time.monotonic() + _ORDER_SECONDS
    while True:
        listed = (client.components(home, memory=False) or {}).get("components", [])
        item = next((item for item in listed if item["name"] == component), {"state": "gone", "message": ""})
        if reached(item["state"]):
            say(f"{component} is {item['state']}.")
            return
        if time.monotonic() > end:
            raise Failure(f"{component} is {item['state']} after {_ORDER_SECONDS} s: {item['message']}")
        time.sleep(0.3)
