"""A tenant's way to another cell: copied while it is served, held for a moment, compared, switched.

``plan`` decides and ``reconciler`` carries out; ``copying`` brings the target up to the source, store by store:
``rows`` and ``answers`` in Postgres, ``vectors`` and ``objects`` beside it. ``switch`` is the moment in which requests
wait, and ``fence`` lets nothing more be written in the source then.
"""
