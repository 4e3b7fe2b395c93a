"""Attacks on the API: through the router, at the cell's own ports, with forged tokens.

``wire`` sends what no well-behaved client would send. One file a kind of attack.
"""

MODULES: tuple[str, ...] = (
    "attacks.routes",
    "attacks.streams",
    "attacks.headers",
    "attacks.smuggling",
    "attacks.tokens",
    "attacks.direct",
    "attacks.rpc",
    "attacks.ports",
    "attacks.reborn",
    "attacks.keys",
)
"""Modules of attacks below ``voicehelper_cli.isolation``, in the order in which they run.

``keys`` leaves a title of the victim in a conversation of the neighbour's own, which every later look at the
neighbour's list would take for a leak: it comes last.
"""
