"""Whether an answer is right, decided by a rule: the whole reward of R1-Zero.

Nothing here trusts what it reads: no `eval`, bounded time and memory for every text.
"""

from sparrow.verify.countdown import Countdown
from sparrow.verify.problem import Judgement, Problem
from sparrow.verify.score import Form, Score, score

__all__ = ["Countdown", "Form", "Judgement", "Problem", "Score", "score"]
