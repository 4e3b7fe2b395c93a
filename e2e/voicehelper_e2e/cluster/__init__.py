"""A real Kubernetes on this machine, whichever way it allows.

``choose.py`` finds the way. ``bare.py`` is the one without Docker: every part of Kubernetes built from its Go modules
(``binaries.py``), run as processes (``daemons.py``) in a network namespace of its own (``network.py``), with containerd
and runc from Debian (``node.py``) and images that no registry serves (``images.py``). ``make cluster`` and the
end-to-end tests call it (``at_hand.py``); ``control_plane.py`` alone gives the operator's tests an API server in four
seconds.
"""
