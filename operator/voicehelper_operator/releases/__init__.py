"""``CellRelease``: takes a release through the cells in waves, and back.

The state of a rollout is its status and nothing else: ``plan.advance`` is a pure function from what is seen and the
time to the next status, so an operator that was killed goes on where it was. Cells are not written to: the reconciler
of cells asks ``assignment`` which release is theirs. ``judgement`` has the statistics by which releases will be judged;
nothing calls it yet. Who calls the rest: ``voicehelper_operator.app``.
"""
