"""What all rooms share: tenant context, settings, telemetry, errors, events, ports and their adapters.

Imports ``voicehelper_crds`` and nothing else of ours; everything else may import it.
"""
