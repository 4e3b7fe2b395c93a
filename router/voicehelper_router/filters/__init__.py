"""What every request passes on its way: one file a filter.

In order: ``identity_headers`` (before anything looks at the request), ``public_scope`` (for paths without a token),
``jwt`` (a valid token, or 401), ``agreement`` (the token's tenant is the header's, or 403), Envoy's router.

``problems`` words the answers that Envoy gives itself, ``access`` writes a line about each request, ``tracing`` starts
or continues its trace. ``paths`` says which paths need no token.
"""
