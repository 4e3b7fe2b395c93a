"""What NetworkPolicies allow: a test tool, since a bare node has no controller that enforces them.

``policies.py`` reads manifests, ``evaluate.py`` says whether a connection is allowed, as Kubernetes' documentation of
NetworkPolicy (networking.k8s.io/v1) defines it. Tests compare what should be allowed with what the policies allow.
"""
