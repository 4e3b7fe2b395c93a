"""Attacks on the stores, with the real credentials of cells."""

MODULES: tuple[str, ...] = (
    "stores.sql_reach",
    "stores.sql_rows",
    "stores.sql_server",
    "stores.kafka",
    "stores.vectors",
    "stores.files",
    "stores.residue",
)
"""Modules of attacks below ``voicehelper_cli.isolation``, in the order in which they run."""
