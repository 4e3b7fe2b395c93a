"""The router: Envoy as the data plane, a Python process as its control plane over delta ADS.

``bootstrap`` renders what Envoy starts with: one listener with the filters of ``filters``. Which tenant goes to which
cell comes from the control plane (``xds``; ``python -m voicehelper_router serve``), which watches ``Tenant`` and
``Cell`` resources. ``voicehelper_embedded`` starts both processes on one machine.
"""
