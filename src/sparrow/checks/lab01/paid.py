"""Exercises 1.1 and 1.6: guess who pays how much more, then count it."""

import random
from statistics import mean

import torch

from sparrow.checks.guess import guess_check
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.checks.values import nothing_expected, numbers_claimed
from sparrow.language import _
from sparrow.text import claims

__all__ = ["CHECKS"]

LEARNED, RATIO = "a vocabulary that you trained", "how many times as many tokens"
INTERVAL = "the interval"
JOINS = 200  # at least
SHORTEST = 1.8  # bytes a token of English; a tokenizer of bytes alone has 1
DRAWS = 2000


def cases(_generator: torch.Generator, _hidden: bool) -> list[Case]:
    """The file that the lab leaves, looked at three times."""
    return [Case("your file", group, {}) for group in (LEARNED, RATIO, INTERVAL)]


def compare(case: Case, _expected: Plain, actual: Plain) -> Verdict:
    """Count again with the vocabulary of the file; believe no number."""
    if not isinstance(actual, dict):
        return Verdict(False, _("This is no answer of the driver."))
    counts = actual["counts"]
    if not isinstance(counts, dict) or len(counts) != 2:
        return Verdict(
            False,
            _(
                "my_language is the code of one language of languages.LANGUAGES, but "
                "not English; got {got}.",
                got=str(actual["language"])[:20],
            ),
        )
    if case.group == LEARNED:
        return compare_vocabulary(actual)
    english = counts_of(counts["en"])
    theirs = counts_of(next(each for code, each in counts.items() if code != "en"))
    claimed = numbers_claimed(actual["said"], ("ratio", "low", "high"))
    if isinstance(claimed, Verdict):
        return claimed
    if case.group == RATIO:
        return compare_ratio(english, theirs, claimed["ratio"])
    return compare_interval(english, theirs, claimed["low"], claimed["high"])


def counts_of(counted: Plain) -> list[int]:
    """Tokens of each name."""
    assert isinstance(counted, list)
    return [each for each in counted if isinstance(each, int)]


def compare_vocabulary(actual: dict[str, Plain]) -> Verdict:
    """Enough joins, and they shorten English."""
    joins, length = actual["joins"], actual["bytes_per_token"]
    assert isinstance(joins, int)
    assert isinstance(length, float)
    if joins < JOINS:
        return Verdict(
            False,
            _("The vocabulary has {got} joins; at least {n}.", got=joins, n=JOINS),
        )
    if length < SHORTEST:
        return Verdict(False, _("It does not shorten English: what was it trained on?"))
    return Verdict(True)


def compare_ratio(english: list[int], theirs: list[int], got: float) -> Verdict:
    """All tokens of one by all tokens of the other."""
    right = sum(theirs) / sum(english)
    if abs(got - right) <= 0.002 * right:
        return Verdict(True)
    each = [one / other for one, other in zip(theirs, english, strict=True)]
    mistakes = [
        (1 / right, _("This is English by the other language: turn it round.")),
        (
            mean(each),
            _("Divide the sums: a mean of ratios counts a short name as much."),
        ),
        (right - 1, _("This is how much more: say how many times as many.")),
        (100 * right, _("This is in percent: say how many times as many.")),
        (float(sum(theirs)), _("These are tokens: compare with English.")),
        (mean(theirs), _("These are tokens a name: compare with English.")),
    ]
    for wrong, message in mistakes:
        if abs(got - wrong) <= 0.002 * abs(wrong):
            return Verdict(False, message)
    return Verdict(False, _("Counted again with your vocabulary, it is another."))


def compare_interval(
    english: list[int], theirs: list[int], low: float, high: float
) -> Verdict:
    """The middle 95 % of ratios of names drawn again; drawing leaves some play."""
    right = sum(theirs) / sum(english)
    pairs = list(zip(english, theirs, strict=True))
    wanted_low, wanted_high = drawn_again(pairs)
    half, got = (wanted_high - wanted_low) / 2, (high - low) / 2
    if low > high:
        return Verdict(False, _("low is larger than high."))
    near = abs(low - wanted_low) <= 0.3 * half + 1e-9
    if near and abs(high - wanted_high) <= 0.3 * half + 1e-9:
        return Verdict(True)
    if not low <= right <= high:
        return Verdict(False, _("The ratio itself is not in the interval."))
    if got > 1.3 * half:
        return Verdict(
            False,
            _(
                "The interval is too wide: do both counts of a name stay together "
                "when it is drawn? And is it the middle 95 %?"
            ),
        )
    if got < 0.7 * half:
        return Verdict(
            False,
            _(
                "The interval is too narrow: draw as many names as there are, and "
                "keep 95 % of the ratios."
            ),
        )
    return Verdict(False, _("The interval has the right width, at another place."))


def drawn_again(pairs: list[tuple[int, int]], seed: int = 0) -> tuple[float, float]:
    """A percentile bootstrap over names."""
    draw = random.Random(seed)
    ratios = []
    for _round in range(DRAWS):
        some = draw.choices(pairs, k=len(pairs))
        ratios.append(sum(two for _one, two in some) / sum(one for one, _two in some))
    ratios.sort()
    return ratios[round(0.025 * DRAWS)], ratios[round(0.975 * DRAWS) - 1]


CHECKS = {
    "1.1": guess_check("1.1", "how many times as many", lambda: _("times")),
    "1.6": Check(
        exercise="1.6",
        groups={LEARNED: 0.2, RATIO: 0.4, INTERVAL: 0.4},
        cases=cases,
        expected=nothing_expected,
        compare=compare,
        driver="tokens_left",
        artefact=claims.FILE,
    ),
}
