"""Identity, tenants and the registry of cells: what is global, outside of every cell.

``identity/`` knows users, tokens and keys and serves ``identity.v1`` (its provisioning half to the operator);
``tenants/`` and ``cells/`` are the HTTP and gRPC face of the resource store; ``audit/`` keeps who changed what.
"""
