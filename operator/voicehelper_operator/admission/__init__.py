"""Admission on Kubernetes: what the API server asks before it keeps a change of our kinds.

The schemas of the CRDs refuse what one object alone says wrongly. Here is what takes a look at others: plans, classes
and cells that are named, protection, references, and metadata that only the operator may write.

``request.py`` is one question, ``world.py`` what it is judged by, ``review.py`` the judgement (pure; the rules are in
``metadata.py``, ``tenants.py``, ``cells.py``, ``plans.py``). ``handlers.py`` gives it to kopf, ``server.py`` listens,
``keeper.py`` keeps the certificates, ``configuration.py`` what the API server is told, ``service.py`` runs all of it.
Called by ``cluster.py``; every replica answers, whoever holds the lease.
"""
