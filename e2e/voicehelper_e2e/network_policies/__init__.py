"""What NetworkPolicies allow: test tools, since a bare node has no controller that enforces them.

``policies.py`` reads manifests, ``evaluate.py`` says whether a connection is allowed, as Kubernetes' documentation of
NetworkPolicy (networking.k8s.io/v1) defines it. Tests compare what should be allowed with what the policies allow.

``python -m voicehelper_e2e.network_policies enforce`` makes the bare node keep to it: ``mirror.py`` follows the API
server, ``live.py`` reads what it has, ``rules.py`` writes it as a ruleset of nftables, ``nft.py`` applies that, and
``enforcer.py`` does one after the other whenever something changes.
"""
