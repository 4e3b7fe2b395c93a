"""Failures that a user can do something about: one sentence on stderr and an exit code, never a traceback."""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_USAGE = 2


class Failure(Exception):
    """Ends the command with ``message`` on stderr."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotRunning(Failure):
    """There is no platform to talk to."""

    def __init__(self) -> None:
        super().__init__("the platform is not running: start it with `voicehelper up`")


class NotAvailable(Failure):
    """The command was understood, but this version cannot do it."""

    exit_code = EXIT_USAGE
