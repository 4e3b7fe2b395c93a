"""Server-sent events, as the HTML standard parses them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event."""

    event: str
    data: str
    id: str


@dataclass(slots=True)
class Parser:
    """Takes text as it comes, in pieces of any size, and gives the events that are complete."""

    _rest: str = ""
    _data: list[str] = field(default_factory=list)
    _event: str = ""
    _id: str = ""
    _begun: bool = False

    def feed(self, text: str) -> Iterator[ServerEvent]:
        """Events that ``text`` completes."""
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        self._rest += text
        while (line := self._line()) is not None:
            if (event := self._take(line)) is not None:
                yield event

    def _line(self) -> str | None:
        ends = [place for place in (self._rest.find("\r"), self._rest.find("\n")) if place >= 0]
        if not ends:
            return None
        end = min(ends)
        if self._rest[end] == "\r" and end + 1 == len(self._rest):
            return None  # the next piece may begin with the newline of this line
        size = 2 if self._rest.startswith("\r\n", end) else 1
        line, self._rest = self._rest[:end], self._rest[end + size :]
        return line

    def _take(self, line: str) -> ServerEvent | None:
        if line:
            name, _, value = line.partition(":")
            self._field(name, value.removeprefix(" "))
            return None
        data, event = self._data, self._event
        self._data, self._event = [], ""
        return ServerEvent(event or "message", "\n".join(data), self._id) if data else None

    def _field(self, name: str, value: str) -> None:
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value


async def events(pieces: AsyncIterator[str]) -> AsyncIterator[ServerEvent]:
    """The events of a stream of text."""
    parser = Parser()
    async for piece in pieces:
        for event in parser.feed(piece):
            yield event
