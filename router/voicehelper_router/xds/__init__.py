"""Envoy's control plane: which tenant goes to which cell.

``facts`` takes what matters out of the resources, ``snapshot`` turns it into Envoy's resources (``scopes``,
``routes``, ``clusters``; pure functions), ``cache`` holds the current snapshot, ``delta`` and ``stream`` bring each
connected Envoy to it step by step, ``store`` follows the resource store, ``persist`` keeps the last facts on disk,
``jwks`` keeps a copy of identity's public keys.
"""
