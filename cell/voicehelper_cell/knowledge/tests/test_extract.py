"""What becomes the text of a document, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voicehelper_cell.knowledge.extract import HTML, JSON, MARKDOWN, TEXT, extract, media_type
from voicehelper_core.errors import AppError, InvalidArgument, UnsupportedMediaType


def test_html_keeps_blocks_and_drops_scripts_and_styles() -> None:
    page = b"""<!doctype html><html><head><title>Fees &amp; limits</title><style>p {color: red}</style></head><body>
    <h1>Fees</h1><p>One <b>two</b>
       three<br>four</p><script>alert("evil")</script><ul><li>first<li>second</ul>
    <table><tr><td>a</td><td>b</td></tr></table><pre>x  y
   z</pre></body></html>"""
    found = extract(HTML, page)
    assert found.title == "Fees & limits"
    assert found.text == "# Fees\n\nOne two three\nfour\n\n- first\n- second\n\na | b |\n\nx  y\n   z"


def test_deeply_nested_html_is_no_problem() -> None:
    found = extract(HTML, b"<div>" * 5000 + b"deep" + b"</div>" * 5000)
    assert found.text == "deep"


def test_html_title_falls_back_to_the_first_heading() -> None:
    assert extract(HTML, b"<h1>Hello <i>there</i></h1><p>text</p>").title == "Hello there"


def test_json_gives_content_title_and_id() -> None:
    found = extract(JSON, json.dumps({"id": "doc_1", "title": "T", "content": "a\r\nb"}).encode())
    assert (found.external_id, found.title, found.text) == ("doc_1", "T", "a\nb")


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'"x"',
        b'{"content": 3}',
        b'{"content": "x", "title": []}',
        b"{}",
        b'{"content": " "}',
        b"[" * 100000,
    ],
)
def test_json_of_another_shape_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidArgument):
        extract(JSON, content)


def test_markdown_stays_as_written_and_gives_its_heading() -> None:
    found = extract(MARKDOWN, "\ufeff# Title #\r\n\r\n*text*".encode())
    assert (found.title, found.text) == ("Title", "# Title #\n\n*text*")


def test_what_postgres_cannot_store_is_replaced() -> None:
    assert extract(TEXT, b"a\x00b").text == "a\ufffdb"
    assert extract(JSON, b'{"content": "x\\ud800y", "title": "a\\u0000\\u0007b"}').text == "x\ufffdy"
    assert extract(JSON, b'{"content": "x", "title": "a\\u0000\\u0007b"}').title == "a b"


@pytest.mark.parametrize("kind", [TEXT, MARKDOWN, HTML, JSON])
def test_other_encodings_are_refused(kind: str) -> None:
    with pytest.raises(InvalidArgument, match="UTF-8 at byte 1"):
        extract(kind, b"a\xff\xfe")


@pytest.mark.parametrize("kind", [TEXT, MARKDOWN, HTML])
def test_nothing_is_refused(kind: str) -> None:
    with pytest.raises(InvalidArgument, match="no text"):
        extract(kind, b" \n ")


def test_media_types() -> None:
    assert media_type("Text/Markdown; charset=UTF-8") == MARKDOWN
    assert media_type("") == TEXT
    for value in ("application/pdf", "text/plain; charset=latin-1", "../x"):
        with pytest.raises(UnsupportedMediaType):
            media_type(value)


@given(st.sampled_from([TEXT, MARKDOWN, HTML, JSON]), st.binary(max_size=300))
def test_any_bytes_give_storable_text_or_a_clear_error(kind: str, content: bytes) -> None:
    try:
        found = extract(kind, content)
    except AppError as error:
        assert 400 <= error.status < 500
        return
    for text in (found.text, found.title, found.external_id):
        assert "\x00" not in text
        text.encode()
