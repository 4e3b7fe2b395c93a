"""What keeps an archive from being made or restored, by store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from voicehelper_core.errors import AppError, Unavailable

from voicehelper_operator.slices.attempts import explained


class StoreProblem(Unavailable):
    """A store is away or refuses; ``store`` says which."""

    def __init__(self, store: str, why: str) -> None:
        super().__init__(f"{store}: {why}")
        self.store, self.why = store, why


@contextmanager
def reaching(store: str) -> Iterator[None]:
    """Whatever a client of the store raises becomes a StoreProblem; what is wrong with an archive stays what it is."""
    try:
        yield
    except AppError as error:
        if error.status < 500 or isinstance(error, StoreProblem):  # of another store within
            raise
        raise StoreProblem(store, error.detail) from error
    except Exception as error:
        raise StoreProblem(store, explained(error)) from error
