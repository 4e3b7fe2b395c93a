"""The platform on a real Kubernetes: stores beside the node, the charts, and tests of what a platform team does.

``stores.py`` runs the stores as a managed service would be, on the machine and with real credentials;
``installation.py`` installs the charts. ``make e2e`` runs the tests.
"""
