"""The operator's secrets in Vault, where its settings say so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from voicehelper_core.errors import Unavailable
from voicehelper_core.log import get_logger
from voicehelper_core.vault import VaultAccess, VaultConnection, VaultSecretStore, VaultServer

from voicehelper_operator.settings import ClusterOperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials
from voicehelper_operator.slices.interface import Slice
from voicehelper_operator.slices.vault import VaultSlice

log = get_logger(__name__)
_RETRY_SECONDS = 5


class OperatorVault:
    """One connection, and what stands on it."""

    def __init__(self, settings: ClusterOperatorSettings) -> None:
        self.connection = VaultConnection(
            VaultServer(
                settings.vault_address.rstrip("/"),
                settings.vault_role,
                settings.vault_token_file,
                settings.vault_ca_file,
                settings.vault_namespace,
                settings.vault_mount,
                settings.vault_auth_mount,
            )
        )
        self.secrets = VaultSecretStore(self.connection)

    def slices(self, credentials: CellCredentials) -> Sequence[Slice]:
        """What a cell has in Vault."""
        return [VaultSlice(self.secrets, VaultAccess(self.connection), credentials)]

    async def close(self) -> None:
        """Close the connection."""
        await self.connection.close()


async def opened(settings: ClusterOperatorSettings, stop: asyncio.Event) -> OperatorVault:
    """Once Vault answers: without it no cell has a password. Raises InvalidArgument for one that is too old."""
    vault = OperatorVault(settings)
    while not stop.is_set():
        try:
            await vault.connection.check()
            break
        except Unavailable as error:
            log.warning("waiting for Vault", error=error.detail)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _RETRY_SECONDS)
    return vault
