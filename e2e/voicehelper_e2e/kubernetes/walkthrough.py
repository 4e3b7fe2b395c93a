"""A page of the documentation, run as a reader would: its blocks in order, in one shell.

A block is ``bash``, ``yaml`` (saved under the name in its first line, ``# name.yaml``) or ``text`` (what the ``bash``
before it prints). ``<!-- not run: why -->`` in the line before a block leaves it out.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

LANGUAGES = ("bash", "yaml", "text")
_FENCE = re.compile(r"```(\w*)\s*")
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
_SAVED_AS = re.compile(r"# ([\w.-]+\.yaml)\n")
_ANYTHING = "..."
_VARIABLE = (
    (re.compile(r"[a-z0-9]{12}"), r"[a-z0-9]{12}"),  # ids and releases
    (re.compile(r"(\d+[smhd])+"), r"(\d+[smhd])+"),  # ages
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), r"[0-9a-f-]{36}"),
)
"""What is another each time, and how it looks."""
_STATE = """set -eu -o pipefail; set -a
for part in .variables .functions; do if [ -e "$part" ]; then . "./$part"; fi; done
{block}
export -p > .variables; declare -f > .functions
"""


@dataclass(frozen=True, slots=True)
class Block:
    """``line`` is that of its first line in the page; ``output`` what the page shows, None where it shows nothing."""

    language: str
    text: str
    line: int
    output: str | None = None
    not_run: str = ""


class Broken(Exception):
    """A block did not do what the page says."""


def blocks(page: str) -> list[Block]:
    """In order. Raises ValueError for a block that nobody knows what to do with."""
    found: list[Block] = []
    for block in _fenced(page):
        if block.language not in LANGUAGES:
            raise ValueError(f"line {block.line}: a block of '{block.language}': say one of {', '.join(LANGUAGES)}")
        if block.language != "text":
            found.append(block)
        elif not found or found[-1].language != "bash" or found[-1].output is not None:
            raise ValueError(f"line {block.line}: no command stands before this output")
        else:
            found[-1] = replace(found[-1], output=block.text)
    return found


def _fenced(page: str) -> Iterator[Block]:
    lines = iter(enumerate(page.splitlines(), 1))
    before = ""
    for number, line in lines:
        if opening := _FENCE.fullmatch(line):
            inside: list[str] = []
            for _, inner in lines:
                if inner.rstrip() == "```":
                    break
                inside.append(inner)
            else:
                raise ValueError(f"line {number}: the block does not end")
            why = _NOT_RUN.fullmatch(before.strip())
            yield Block(opening[1], "\n".join(inside) + "\n", number + 1, None, why[1] if why else "")
        before = line


def saved_as(block: Block) -> str:
    """Name of a ``yaml`` block's file. Raises ValueError."""
    named = _SAVED_AS.match(block.text)
    if named is None:
        raise ValueError(f"line {block.line}: its first line does not say the file's name (# name.yaml)")
    return named[1]


def shown(expected: str, said: str) -> bool:
    """Whether the lines are in what was said, one after the other; ids, ages and the width of columns may be others,
    ``...`` is anything, as a line any lines.
    """
    lines = [_pattern(line) for line in expected.strip().splitlines()]
    return re.search("(?m)^" + "".join(lines), said.rstrip("\n") + "\n") is not None


def _pattern(line: str) -> str:
    if line.strip() == _ANYTHING:
        return r"(?:.*\n)*?"
    return r"[ \t]+".join(map(_word, line.split())) + r"[ \t]*\n"


def _word(word: str) -> str:
    if word == _ANYTHING:
        return ".*"
    return next((pattern for known, pattern in _VARIABLE if known.fullmatch(word)), re.escape(word))


def wrapper(path: Path, command: Sequence[str]) -> None:
    """A program at ``path`` that is the command with more arguments. Raises FileNotFoundError where it is not there."""
    program = shutil.which(command[0])  # by its path: the wrapper may have the same name
    if program is None:
        raise FileNotFoundError(command[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec {shlex.join([program, *command[1:]])} "$@"\n')
    path.chmod(0o755)


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs blocks below ``folder``; variables and functions of one are there in the next."""

    folder: Path
    environment: Mapping[str, str]
    seconds: float = 240

    def run(self, block: Block) -> None:
        """Raises Broken with the block and what it said."""
        if block.not_run:
            return
        if block.language == "yaml":
            (self.folder / saved_as(block)).write_text(block.text)
            return
        status, said = self._ran(block.text)
        if status:
            raise Broken(f"line {block.line}: {status}\n{block.text}--- said:\n{said}")
        if block.output is not None and not shown(block.output, said):
            raise Broken(
                f"line {block.line}: it says something else\n{block.text}--- said:\n{said}--- page:\n{block.output}"
            )

    def _ran(self, text: str) -> tuple[str, str]:
        """What went wrong, and everything that was printed."""
        log = self.folder / ".said"
        with log.open("w") as output:
            process = subprocess.Popen(
                ["/bin/bash", "-c", _STATE.replace("{block}", text)],
                cwd=self.folder, env=dict(self.environment), stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            try:
                code = process.wait(self.seconds)
                status = f"status {code}" if code else ""
            except subprocess.TimeoutExpired:
                status = f"not done after {self.seconds:.0f} s"
            finally:
                _end(process)
        return status, log.read_text()


def _end(process: subprocess.Popen[bytes]) -> None:
    """What it started too."""
    subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"], capture_output=True, check=False)
    process.wait()
