"""The e-process of two shares: what speaks for the canary being worse, or better, than a limit that its peers set.

In a batch the canary has n1 requests of which x1 are bad, its peers n0 and x0. The null hypothesis "not worse" is
p1 <= r p0 + d for the chance p of a request to be bad, with the limit's factor r and margin d; "not better" is >=. Both
chances may be other ones in every batch, and neither has to be known. For an alternative, which is a ratio c of the
canary's share to r times that of the peers (c > 1 for worse, c < 1 for better), and with t = r n1 / (r n1 + n0),

    e = a^x1 b^x0 exp(-d n1 (a - 1)),    b = 1 / (1 + (c - 1) t),    a = c b

is the likelihood ratio of the binomial of x1 of x1 + x0 given their sum (Lindon & Malek 2022, "Anytime-Valid Inference
for Multinomial Count Data", NeurIPS) with the margin on top. Its mean under the null hypothesis is at most 1: a request
contributes E[a^X] = 1 + p (a - 1) <= exp(p (a - 1)), so the mean is at most the exponential of
n1 p1 (a - 1) + n0 p0 (b - 1) - d n1 (a - 1), which is 0 where p1 = r p0 + d, since r n1 (a - 1) = n0 (1 - b), and less
on the null's side of that. So the product over batches is an e-process: by Ville's inequality it ever reaches 1/alpha
with a probability of at most alpha (Ramdas, Gruenwald, Vovk & Shafer 2023, "Game-Theoretic Statistics and Safe
Anytime-Valid Inference", Statistical Science 38). Nothing but 1 + x <= e^x was used: the counts are exact, not large.

It rests on requests that are good or bad independently of each other, given the chances of their batch; and on traffic
whose amount tells nothing about them. Trouble of all cells at once does no harm: it is in both shares. Trouble of one
cell alone that is not the release's fault does, as in any comparison with peers.
"""

from __future__ import annotations

import math

from voicehelper_operator.releases.judgement.counts import Total
from voicehelper_operator.releases.judgement.limit import Limit
from voicehelper_operator.releases.judgement.mixture import RATIOS, VERSION, Direction, mixed
from voicehelper_operator.releases.judgement.model import Frozen


class Evidence(Frozen):
    """For the canary being ``direction`` than ``limit``, of all batches so far."""

    direction: Direction
    """What the evidence is for."""
    limit: Limit
    """What it is measured against."""
    alternatives: int
    """``mixture.VERSION`` when it began."""
    log_e: tuple[float, ...]
    """Natural logarithm of e by alternative."""

    @classmethod
    def none(cls, direction: Direction, limit: Limit) -> Evidence:
        """Before the first batch."""
        return cls(direction=direction, limit=limit, alternatives=VERSION, log_e=(0.0,) * len(RATIOS[direction]))

    def with_batch(self, canary: Total, peers: Total) -> Evidence:
        """With what one batch added. It tells nothing where either side had no requests.

        Raises ValueError where it was begun with other alternatives than this version's: begin anew.
        """
        if self.alternatives != VERSION:
            raise ValueError(f"evidence of alternatives {self.alternatives}, not {VERSION}: begin anew")
        if not canary.requests or not peers.requests:
            return self
        weighted = self.limit.factor * canary.requests
        part = weighted / (weighted + peers.requests)
        added = [_log_e(ratio, part, canary, peers, self.limit.margin) for ratio in RATIOS[self.direction]]
        log_e = tuple(old + new for old, new in zip(self.log_e, added, strict=True))
        return self.model_copy(update={"log_e": log_e})

    @property
    def mixture(self) -> float:
        """Natural logarithm of the e-value."""
        return mixed(self.direction, self.log_e)


def _log_e(ratio: float, part: float, canary: Total, peers: Total, margin: float) -> float:
    """Of one batch and one alternative; ``part`` is t."""
    log_b = -math.log1p((ratio - 1) * part)
    excess = (ratio - 1) * (1 - part) / (1 + (ratio - 1) * part)  # a - 1
    return canary.bad * (math.log(ratio) + log_b) + peers.bad * log_b - margin * canary.requests * excess
