"""HashiCorp Vault as the place of secrets: what ``embedded_secrets`` and ``kubernetes_api.secrets`` are elsewhere.

``connection.py`` logs in, sends and translates errors; on it stand ``secrets.py`` (the port ``SecretStore``) and
``access.py`` (who may read what). Called by the operator where its setting ``secrets`` says ``vault``; docs/vault.md
has the policies.
"""

from voicehelper_core.vault.access import Reader, VaultAccess
from voicehelper_core.vault.connection import VaultConnection, VaultServer
from voicehelper_core.vault.secrets import VaultSecretStore

__all__ = ["Reader", "VaultAccess", "VaultConnection", "VaultSecretStore", "VaultServer"]
