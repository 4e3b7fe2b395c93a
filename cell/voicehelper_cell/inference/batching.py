"""Puts the texts of concurrent requests into common batches; what somebody waits for overtakes bulk work."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from voicehelper_cell.inference.embedder import Embedder, Tokens, Vectors
from voicehelper_cell.inference.export import DIMENSION


@dataclass(slots=True, eq=False)
class _Item:
    tokens: Tokens
    row: int
    result: Vectors
    left: list[int]  # how many rows of the request are missing, shared by its items
    done: asyncio.Future[None]


class Batcher:
    """``threads`` workers that share one model."""

    def __init__(self, model: Embedder, *, threads: int, batch_texts: int, batch_tokens: int) -> None:
        self._model = model
        self._batch_texts, self._batch_tokens = batch_texts, batch_tokens
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="embed")
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tokenize")
        self._interactive: deque[_Item] = deque()
        self._bulk: deque[_Item] = deque()
        self._work = asyncio.Condition()
        self._workers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the workers."""
        self._workers = [asyncio.create_task(self._run(), name=f"embed-{n}") for n in range(self._threads)]

    async def stop(self) -> None:
        """Stop the workers; running batches end first."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._pool.shutdown(wait=True)
        self._tokenizing.shutdown(wait=True)

    async def embed(self, texts: Sequence[str], *, interactive: bool = True) -> Vectors:
        """One row a text, in order. What is interactive goes before what is not."""
        result = np.empty((len(texts), DIMENSION), np.float32)
        if not texts:
            return result
        loop = asyncio.get_running_loop()
        tokens = await loop.run_in_executor(self._tokenizing, self._model.tokenize, texts)
        done: asyncio.Future[None] = loop.create_future()
        left = [len(texts)]
        items = [_Item(one, row, result, left, done) for row, one in enumerate(tokens)]
        items.sort(key=lambda item: len(item.tokens))  # neighbours of similar length need little padding
        async with self._work:
            (self._interactive if interactive else self._bulk).extend(items)
            self._work.notify(len(items))
        await done
        return result

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            async with self._work:
                while not (batch := self._take()):
                    await self._work.wait()
            call = partial(self._model.embed, [item.tokens for item in batch])
            try:
                vectors = await loop.run_in_executor(self._pool, call)
            except Exception as error:  # the requests fail, the worker goes on
                for item in batch:
                    if not item.done.done():
                        item.done.set_exception(error)
                continue
            for item, vector in zip(batch, vectors, strict=True):
                item.result[item.row] = vector
                item.left[0] -= 1
                if item.left[0] == 0 and not item.done.done():
                    item.done.set_result(None)

    def _take(self) -> list[_Item]:
        """The next batch: interactive texts alone if there are any, else bulk; none of cancelled requests."""
        queue = self._interactive if self._interactive else self._bulk
        batch: list[_Item] = []
        longest = 0
        while queue and len(batch) < self._batch_texts:
            item = queue[0]
            if not item.done.done():
                longest = max(longest, len(item.tokens))
                if batch and longest * (len(batch) + 1) > self._batch_tokens:
                    break
                batch.append(item)
            queue.popleft()
        return batch
