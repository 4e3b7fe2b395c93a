"""A new signing key is shown for longer than all that keep keys keep them, as they are set by default."""

from __future__ import annotations

from voicehelper_control_plane.identity import keys
from voicehelper_control_plane.settings import ControlPlaneSettings
from voicehelper_core import auth
from voicehelper_core.signing_keys import LEAD_SECONDS, LONGEST_TOKEN_SECONDS
from voicehelper_router.settings import BootstrapSettings, RouterSettings

KUBELET_SECONDS = 120
FETCH_SECONDS = 2


def test_every_verifier_has_fetched_a_key_before_it_signs() -> None:
    envoy = (
        RouterSettings.model_fields["jwks_refresh_seconds"].default
        + BootstrapSettings.model_fields["jwks_cache_seconds"].default
        + 2 * FETCH_SECONDS
    )
    verifier = auth.REFRESH_SECONDS + FETCH_SECONDS
    assert KUBELET_SECONDS + keys._LOOK_SECONDS + max(envoy, verifier) <= LEAD_SECONDS - 120


def test_no_token_lives_longer_than_its_key_is_shown() -> None:
    settings = ControlPlaneSettings(token_seconds=LONGEST_TOKEN_SECONDS)
    assert settings.service_token_seconds < settings.token_seconds
    bounds = [
        bound.le
        for name in ("token_seconds", "service_token_seconds")
        for bound in ControlPlaneSettings.model_fields[name].metadata
        if hasattr(bound, "le")
    ]
    assert len(bounds) == 2
    assert max(bounds) <= LONGEST_TOKEN_SECONDS
