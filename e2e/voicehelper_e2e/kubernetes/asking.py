"""Somebody who asks all the time, while something is changed."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import Self

from voicehelper_e2e.kubernetes.people import People


class Repeating(ABC):
    """Does the same again and again in another thread; ``answers`` counts what came of it, or which error."""

    pause = 0.05
    """Seconds in between."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self.answers: Counter[int | str] = Counter()
        self._thread = threading.Thread(target=self._run)

    @abstractmethod
    def ask(self) -> int | str:
        """Once."""

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers[self.ask()] += 1
            except Exception as error:
                self.answers[repr(error)] += 1
            self._stop.wait(self.pause)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)


class Asking(Repeating):
    """Lists its conversations: statuses of the answers."""

    def __init__(self, people: People, tenant: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._client = people.client(tenant)
        self._client.headers.update(headers or {})

    def ask(self) -> int:
        """A list."""
        return self._client.get("/api/v1/conversations").status_code

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._client.close()


class SigningIn(Repeating):
    """Signs in as the tenant's admin."""

    pause = 1.0
    DONE = "signed in"

    def __init__(self, people: People, tenant: str) -> None:
        super().__init__()
        self._people, self._tenant = people, tenant

    def ask(self) -> str:
        """A login."""
        self._people.installation.login(self._tenant)
        return self.DONE
