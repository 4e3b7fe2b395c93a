"""Checks of the Helm charts in ``charts/``, without a network and without a node.

``tools.py`` finds or builds Helm and kubeconform, ``render.py`` renders, ``schemas.py`` makes JSON schemas of what the
API server says that it accepts, and ``__main__.py`` is ``make charts``. The tests install the charts into an API server
and ask it what it would refuse.
"""
