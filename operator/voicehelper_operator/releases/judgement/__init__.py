"""Whether a release is worse than it may be: tests that may be looked at after every scrape. Pure.

============== ============================================ =====================================================
module         what is compared                             example
============== ============================================ =====================================================
``comparison`` a share of requests with that of the peers   errors of the canary against errors of the other cells
``latency``    histograms with those of the peers           share slower than the peers' P50, P95 and P99
``threshold``  a share of requests with a fixed limit       errors > 1 %; slower than 500 ms > 5 % ("P95 > 500 ms")
``rate``       events with a fixed number per unit          restarts > 2 an hour
``budget``     a count with what a stage may cost           complaints > 5 per stage; no statistics
============== ============================================ =====================================================

Each has ``updated(state, batch) -> state`` and ``verdict(state, settings) -> Verdict``; a state begins as
``begin(settings)``, or as ``State()`` where no setting is part of it. A batch is what one scrape added (``increments``
makes it from counters); None says that the query returned nothing. A state is small, immutable and JSON: an operator
that is killed reads it back and goes on exactly. Where the limits change, or the operator's version did and
``begun_with`` says so, it begins anew.

The first failure is to be acted on when it is given: the evidence of later scrapes may be weaker again. Over the whole
life of a state, however often it is looked at, a release that is not worse than the limit fails with a probability of
at most ``alpha``, and one that is not better succeeds with one of at most ``success_alpha``. That is per test: a
release that is judged by several can fail by any of them. What it rests on is told in ``evidence``.
"""
