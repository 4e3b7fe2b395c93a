"""What a migration would do to code of the release before, by the SQL that Alembic says it would run."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory

_NOT_CODE = re.compile(r"\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_NAME = r'("[^"]+"|[\w.]+)'
_RULES = {
    "removes a table, a type or a schema": r"^drop (table|view|materialized view|type|domain|sequence|schema)\b",
    "empties a table": r"^truncate\b",
    "renames": r"^alter\b.* rename\b",
    "removes a column": r"^alter table\b.* drop (?!constraint\b)",
    "changes the type of a column": rf"^alter table\b.* alter (column )?{_NAME} (set data )?type\b",
    "adds a column that older code does not fill": (
        rf"^alter table\b.* add (column )?(?!constraint\b){_NAME} (?=[^,]*\bnot null\b)(?![^,]*\b(default|generated)\b)"
    ),
}
_ALTERED = rf"^alter table {_NAME}\b.* alter (?:column )?{_NAME} set "


def revisions(folder: Path) -> list[Script]:
    """The migrations of a folder, the first one first."""
    return [*ScriptDirectory.from_config(_config(folder)).walk_revisions()][::-1]


def sql(folder: Path, script: Script, attributes: Mapping[str, str]) -> str:
    """What one migration would run."""
    config = _config(folder)
    config.output_buffer = io.StringIO()
    config.attributes.update(attributes)
    command.upgrade(config, f"{script.down_revision or 'base'}:{script.revision}", sql=True)
    return config.output_buffer.getvalue()


def broken(text: str) -> Iterator[str]:
    """Why code of the release before could not go on with the schema; nothing where the statements only expand."""
    statements = [" ".join(part.lower().split()) for part in _NOT_CODE.sub("''", text).split(";")]
    filled = {found.groups() for part in statements if (found := re.match(_ALTERED + "default", part))}
    for part in statements:
        plain = re.sub(r"\balter (column )?\S+ drop (default|not null|identity|expression)( if exists)?\b", "", part)
        for what, pattern in _RULES.items():
            if re.search(pattern, plain):
                yield f"{what}: {part}"
        required = re.match(_ALTERED + "not null", part)
        if required and required.groups() not in filled:
            yield f"requires a column that older code does not fill: {part}"


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    return config
