"""The field of a proof: a victim with canaries, a neighbour in its cell, a stranger in another one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from voicehelper_cli.context import Home
from voicehelper_cli.failures import Failure
from voicehelper_cli.isolation import plant
from voicehelper_cli.isolation.attack import Role
from voicehelper_cli.isolation.model import Canaries, Canary
from voicehelper_cli.isolation.party import Party
from voicehelper_cli.isolation.places import Places
from voicehelper_cli.isolation.world import World
from voicehelper_cli.resources import open_resources


@dataclass(slots=True)
class Arena:
    """What attacks work with.

    ``facts`` are ids of what was planted at the victim: ``conversation_id``, ``user_message_id``, ``message_id`` (the
    assistant's), ``document_id``, ``external_id``, ``user_id``, ``idempotency_key``.
    """

    home: Home
    places: Places
    world: World
    canaries: Canaries
    victim: Party
    facts: dict[str, str]
    parties: dict[Role, Party] = field(default_factory=dict)

    @property
    def neighbour(self) -> Party:
        """The attacker in the victim's cell (a shared one). Raises Failure where the proof has none."""
        return self._party("neighbour")

    @property
    def stranger(self) -> Party:
        """The attacker in another cell (its own). Raises Failure where the proof has none."""
        return self._party("stranger")

    def _party(self, role: Role) -> Party:
        if role not in self.parties:
            raise Failure(f"this proof has no {role}")
        return self.parties[role]

    @property
    def root(self) -> bool:
        """Whether attempts can be made as other users of the operating system."""
        return os.geteuid() == 0

    def plant(self, surface: str, secret: str | None = None) -> Canary:
        """Register a canary that an attack plants itself; with ``secret``, an id of the victim."""
        return self.canaries.plant(surface, secret)


@asynccontextmanager
async def arena(
    home: Home,
    *,
    needs: Iterable[Role] = ("neighbour", "stranger"),
    tenant: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Arena]:
    """Make the field and remove it at the end, whatever happens. Raises Failure, NotRunning.

    ``tenant`` names an existing tenant as the victim; the neighbour is then placed in its cell, if that is shared.
    """
    wanted = set(needs)
    places = await Places.embedded(home)
    async with open_resources(home) as resources:
        world = World(resources, home.secrets(), places.router_url, say)
        try:
            await world.prepare()
            canaries = Canaries()
            victim, parties = await _make(world, canaries, wanted, tenant)
            for party in (victim, *parties.values()):
                _hide(canaries, party)
            say(f"victim {victim.name} in cell {victim.cell}; planting canaries")
            facts = await plant.plant(victim, canaries)
            yield Arena(home, places, world, canaries, victim, facts, parties)
        finally:
            await asyncio.shield(asyncio.ensure_future(_end(world, say)))


async def _make(world: World, canaries: Canaries, wanted: set[Role], tenant: str) -> tuple[Party, dict[Role, Party]]:
    if tenant:
        existing = await world.party(tenant)
        cell = existing.cell if await world.is_shared(existing.cell) else ""
        if not cell:
            world.say(f"tenant/{tenant} has a dedicated cell: there are no neighbours to attack it from")
            wanted.discard("neighbour")
    else:
        existing = None
        if "stranger" in wanted:
            await world.tenant("stranger")  # its cell starts while the shared one is looked for
        cell = await world.shared_cell()
        await world.tenant("victim", cell=cell, display_name=canaries.plant("display name of the tenant").secret)
    if "neighbour" in wanted:
        await world.tenant("neighbour", cell=cell)
    if tenant and "stranger" in wanted:
        await world.tenant("stranger")
    world.say(f"making tenants {world.prefix}-*: {', '.join(['victim', *sorted(wanted)])}")
    victim = existing or await world.ready("victim")
    parties: dict[Role, Party] = {role: await world.ready(role) for role in ("neighbour", "stranger") if role in wanted}
    return victim, parties


def _hide(canaries: Canaries, party: Party) -> None:
    canaries.hide(party.credentials.password, *party.store_credentials.values())


async def _end(world: World, say: Callable[[str], None]) -> None:
    say("removing the tenants of the proof")
    await world.remove()
