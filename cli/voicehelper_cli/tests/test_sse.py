"""Server-sent events, however the stream is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from voicehelper_cli.sse import Parser, ServerEvent

LINE = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)
NAME = st.sampled_from(["delta", "citation", "message.completed", "message"])
ID = st.text("0123456789abcdef:-", max_size=8)


def parse(*pieces: str) -> list[ServerEvent]:
    parser = Parser()
    return [event for piece in pieces for event in parser.feed(piece)]


@given(
    st.lists(st.tuples(NAME, st.lists(LINE, min_size=1, max_size=3), ID), max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.data(),
)
def test_events_come_out_as_they_went_in(
    sent: list[tuple[str, list[str], str]], newline: str, data: st.DataObject
) -> None:
    text = "".join(
        newline.join([": comment", f"event: {name}", f"id: {identifier}", *(f"data: {line}" for line in body), "", ""])
        for name, body, identifier in sent
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    # A stream whose last line ends with a lone carriage return is complete only with what follows.
    got = parse(*pieces, "\n" if newline == "\r" else "")
    assert got == [ServerEvent(name, "\n".join(body), identifier) for name, body, identifier in sent]


@given(st.text(max_size=200))
def test_no_text_breaks_the_parser(text: str) -> None:
    assert parse(text) == parse(*text)
    for event in parse(text):
        assert "\r" not in event.data


def test_comments_retry_and_unknown_fields_are_ignored() -> None:
    assert parse(": hello\n\nretry: 10\nfoo: bar\ndata: x\n\n") == [ServerEvent("message", "x", "")]


def test_an_event_that_was_not_ended_is_not_given() -> None:
    assert parse("event: delta\ndata: half") == []
