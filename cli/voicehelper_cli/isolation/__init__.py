"""The isolation proof: canaries are planted in one tenant, and others try to get at them.

``arena`` makes the tenants and plants, ``attack`` holds the registry, ``attacks/`` tries the API and ``stores/`` the
stores, ``model`` says what an attempt is, ``report`` judges and words the result, ``sign`` signs it, ``runner`` does
all of it in order. Called by ``commands/prove.py``; docs/isolation.md tells users about it.
"""
