"""Somebody who asks all the time, while something is changed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Self

from voicehelper_e2e.kubernetes.people import People


class Asking:
    """One question after the other from another thread; ``answers`` counts what came."""

    def __init__(self, people: People, tenant: str, headers: Mapping[str, str] | None = None) -> None:
        self._client, self._stop = people.client(tenant), threading.Event()
        self._client.headers.update(headers or {})
        self.answers: Counter[int | str] = Counter()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers[self._client.get("/api/v1/conversations").status_code] += 1
            except Exception as error:
                self.answers[repr(error)] += 1
            time.sleep(0.05)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        self._client.close()
