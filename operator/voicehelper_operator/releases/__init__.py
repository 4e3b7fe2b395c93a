"""``CellRelease``: takes a release through the cells in waves, and back.

The state of a rollout is its status and nothing else: ``plan.advance`` is a pure function from what is seen and the
time to the next status, so an operator that was killed goes on where it was. Cells are not written to: the reconciler
of cells asks ``assignment`` which release is theirs. ``stages`` and ``shifting`` take the users of a cell to a release,
some at a time; ``traffic`` reads what routers have counted, ``evidence`` is what the tests of ``judgement`` make of it.
``memory`` compares what a release has resident with what ran before.
Who calls it: ``voicehelper_operator.app``.
"""
