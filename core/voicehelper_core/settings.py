"""Settings of a process: environment ``VOICEHELPER_<NAME>`` over the file in ``VOICEHELPER_CONFIG`` over defaults.

The file is JSON with mode 0600, so that credentials are neither in arguments nor in the environment. Several files are
named with ``:`` in between; what a later one says holds (Kubernetes: a ConfigMap's, then a Secret's).
"""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

CONFIG_VARIABLE = "VOICEHELPER_CONFIG"
ENV_PREFIX = "VOICEHELPER_"


def distribution_version() -> str:
    """Version of the installed distribution; from a copied release, the version it was made with."""
    try:
        return metadata.version("voicehelper")
    except metadata.PackageNotFoundError:
        return os.environ.get("VOICEHELPER_SERVICE_VERSION", "0.1.0")


class BaseAppSettings(BaseSettings):
    """What every process has. Subclasses add theirs; unknown keys of the file are ignored."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="ignore", use_attribute_docstrings=True, protected_namespaces=()
    )

    environment: str = "dev"
    """Deployment environment, in every log line; ``prod`` switches fault points off for good."""
    region: str = "local"
    """Region, in every log line."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARN or ERROR."""
    fault_points: str = ""
    """Points at which tests kill, delay or fail the process (``core.faults``); empty in production."""
    fault_folder: Path | None = None
    """Folder in which tests arm fault points of a running platform; none in production."""
    service_version: str = distribution_version()
    """Version, in every log line."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if path := os.environ.get(CONFIG_VARIABLE):
            files = [Path(part) for part in path.split(os.pathsep)]
            sources.append(JsonConfigSettingsSource(settings_cls, json_file=files, deep_merge=True))
        return tuple(sources)
