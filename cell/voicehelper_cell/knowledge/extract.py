"""The text of an uploaded document: what is indexed, shown, and what citations count code points of.

UTF-8 only. A byte order mark goes, CRLF and CR become LF, NUL and lone surrogates become U+FFFD, white space
at both ends goes. Markdown stays as written. HTML loses scripts, styles and markup and keeps its blocks:
headings as ``#``, list items as ``-``, blank lines between paragraphs. JSON is its ``content``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from voicehelper_core.errors import InvalidArgument, UnsupportedMediaType

TEXT, MARKDOWN, HTML, JSON = "text/plain", "text/markdown", "text/html", "application/json"
_ALIASES = {"text/x-markdown": MARKDOWN, "application/xhtml+xml": HTML}
MAX_TITLE = 500
MAX_EXTERNAL_ID = 500
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a file says: its text, and its own title and id where it has them."""

    text: str
    title: str = ""
    external_id: str = ""


def media_type(value: str) -> str:
    """One of the four media types. Raises UnsupportedMediaType."""
    kind, _, parameters = value.partition(";")
    kind = kind.strip().lower() or TEXT
    kind = _ALIASES.get(kind, kind)
    if kind not in (TEXT, MARKDOWN, HTML, JSON):
        raise UnsupportedMediaType(f"'{kind[:100]}' is not supported: send {TEXT}, {MARKDOWN}, {HTML} or {JSON}")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", parameters, re.IGNORECASE)
    if charset and charset[1].lower().replace("_", "-") not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType(f"the charset '{charset[1][:40]}' is not supported: send UTF-8")
    return kind


def extract(kind: str, content: bytes) -> Extracted:
    """The text of ``content``. Raises InvalidArgument with the reason."""
    try:
        source = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"content: not valid UTF-8 at byte {error.start}") from None
    if kind == HTML:
        found = _html(source)
    elif kind == JSON:
        found = _json(source)
    else:
        heading = _HEADING.search(source) if kind == MARKDOWN else None
        first = source.strip().split("\n", 1)[0]
        found = Extracted(source, heading[1] if heading else first[:80])
    text = clean(found.text)
    if not text:
        raise InvalidArgument("content: holds no text")
    return Extracted(text, line(found.title, MAX_TITLE), line(found.external_id, MAX_EXTERNAL_ID))


def clean(text: str) -> str:
    """Text as it is stored."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return _UNSTORABLE.sub("\ufffd", text).strip()


def line(text: str, limit: int) -> str:
    """One line without control characters, at most ``limit`` long."""
    return _UNSTORABLE.sub("\ufffd", _CONTROL.sub(" ", text)).strip()[:limit]


def _json(source: str) -> Extracted:
    try:
        value = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"content: not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidArgument("content: the JSON must be an object {id, title, content}")
    fields: dict[str, str] = {}
    for name in ("id", "title", "content"):
        field: Any = value.get(name)
        if isinstance(field, int) and not isinstance(field, bool) and name == "id":
            field = str(field)
        if field is not None and not isinstance(field, str):
            raise InvalidArgument(f"content.{name}: must be a string")
        fields[name] = field or ""
    return Extracted(fields["content"], fields["title"], fields["id"])


_DROPPED = ["script", "style", "noscript", "template", "head", "svg", "iframe", "object", "canvas"]
_BLOCKS = frozenset(
    re.findall(
        r"\S+",
        """
    address article aside blockquote body dd details dialog div dl dt fieldset figcaption figure footer form
    header hr html legend li main nav ol p pre section summary table tbody tfoot thead tr ul h1 h2 h3 h4 h5 h6
    """,
    )
)


def _html(source: str) -> Extracted:
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(source)
    node = tree.css_first("title") or tree.css_first("h1")
    title = " ".join(node.text().split()) if node else ""
    for name in _DROPPED:
        for dropped in tree.css(name):
            dropped.decompose()
    parts: list[str] = []
    _walk(tree.body, parts)
    return Extracted(re.sub(r"\n{3,}", "\n\n", _around_pre("".join(parts))), title)


def _around_pre(text: str) -> str:
    """White space at line ends goes, except inside of ``pre`` (between U+0002 and U+0003)."""
    pieces = re.split("\x02(.*?)\x03", text, flags=re.DOTALL)
    return "".join(p if n % 2 else re.sub(r"[ \t]*\n[ \t]*", "\n", p) for n, p in enumerate(pieces))


def _walk(root: Any, parts: list[str]) -> None:
    """Depth first without recursion: documents may be nested deeper than Python's stack."""
    if root is None:
        return
    stack: list[Any] = [root]
    pre = 0
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            pre -= item == "\x03\n\n"
            parts.append(item)
            continue
        tag = item.tag
        if tag == "-text":
            value = (item.text_content or "").replace("\x02", "").replace("\x03", "")
            parts.append(value if pre else re.sub(r"\s+", " ", value))
            continue
        if tag is None:  # a processing instruction
            continue
        opening, closing = _around(tag)
        if opening:
            parts.append(opening)
        pre += tag == "pre"
        if closing:
            stack.append(closing)
        children = list(item.iter(include_text=True))
        stack.extend(reversed(children))


def _around(tag: str) -> tuple[str, str]:
    if tag == "br":
        return "\n", ""
    if tag == "li":
        return "\n- ", ""
    if tag in ("td", "th"):
        return "", " | "
    if tag == "tr":
        return "\n", "\n"
    if tag == "pre":
        return "\n\n\x02", "\x03\n\n"
    if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
        return f"\n\n{'#' * int(tag[1])} ", "\n\n"
    return ("\n\n", "\n\n") if tag in _BLOCKS else ("", "")
