"""A tenant's archive: taken out of the stores, kept, and put into another cell. The format is that of ``core``.

``export`` reads the stores and ``restore`` fills them; ``tables`` and ``rows`` speak to Postgres, ``objects`` and
``vectors`` to the other two. ``depot`` is where archives of deleted tenants lie, ``keeper`` makes them for the
reconciler, ``http`` serves exports and imports to the control plane.
"""
