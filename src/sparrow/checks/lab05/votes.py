"""Exercise 5.6: the answer that most samples give."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch

from sparrow.checks.compare import Causes, compare_equal
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.evaluate import voting
from sparrow.language import _

__all__ = ["CHECKS"]

MOST, SILENT, TIES = "most votes", "samples without an answer", "equally many votes"
Answers = Sequence[str | None]


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """A clear winner, silence, and ties."""

    def case(group: str, *answers: str | None) -> Case:
        return Case(" ".join(map(str, answers)), group, {"answers": list(answers)})

    found = [
        case(MOST, "5", "7", "7"),
        case(MOST, "12", "9", "12", "9", "12"),
        case(MOST, "3", "20", "100", "20", "20", "3"),
        case(MOST, "5", "7", "5", "5", "7"),
        case(SILENT, None, "7", None),
        case(SILENT, None, None),
        case(SILENT),
        case(SILENT, "4", None, None, "4", None),
        case(TIES, "7", "5", "9", "5", "9", "7"),
        case(TIES, "9", "5", "5", "9"),
        case(TIES, "b", "a"),
        case(TIES, "a", "b", "c"),
        case(TIES, "1", "2", "2", "1", "0"),
    ]
    if hidden:
        for _round in range(4):
            drawn = torch.randint(10, 99, (3,), generator=generator).tolist()
            one, two, three = (str(each + 100 * at) for at, each in enumerate(drawn))
            found += [
                case(MOST, one, two, three, two, None),
                case(SILENT, None, None, None, one, one),
                case(TIES, two, one, None, one, two),
            ]
    return found


def expected(case: Case) -> Plain:
    """What the library chooses."""
    return voting.majority_vote(**case.inputs)  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same winner, or None."""
    if actual == wanted and type(actual) is type(wanted):
        return Verdict(True)
    for message, mistake in causes():
        try:
            wrong = mistake(**case.inputs)
        except (ValueError, StopIteration):
            continue
        if actual == wrong:
            return Verdict(False, message)
    if wanted is None:
        return Verdict(False, _("Where nobody votes there is no winner: None."))
    return compare_equal(actual, wanted)


def causes() -> Causes:
    """Whom each likely mistake chooses."""

    def best(
        order: Callable[[Counter[str | None], str | None, int], Any],
        *,
        counts_silence: bool = False,
    ) -> Callable[[Answers], object]:
        def mistake(answers: Answers) -> object:
            votes = Counter(
                each for each in answers if each is not None or counts_silence
            )
            ranked = list(votes)
            return max(ranked, key=lambda each: order(votes, each, ranked.index(each)))

        return mistake

    return [
        (
            _("A sample without an answer does not vote."),
            best(lambda votes, each, _at: votes[each], counts_silence=True),
        ),
        (_("This is the number of votes: who got them?"), _votes_of_winner),
        (
            _("Of equals, the one that came first wins; this takes the last."),
            best(lambda votes, each, at: (votes[each], at)),
        ),
        (
            _("Of equals, the one that came first wins: do not sort the answers."),
            best(lambda votes, each, _at: (votes[each], [-ord(s) for s in each or ""])),
        ),
        (
            _("Of equals, the one that came first wins: do not sort the answers."),
            best(lambda votes, each, _at: (votes[each], each)),
        ),
        (_("This is the largest answer, not the most frequent."), _largest),
        (
            _("This takes the first answer: count the votes."),
            lambda answers: next(each for each in answers if each is not None),
        ),
    ]


def _votes_of_winner(answers: Answers) -> int:
    return max(Counter(each for each in answers if each is not None).values())


def _largest(answers: Answers) -> str:
    return max(each for each in answers if each is not None)


CHECKS = {
    "5.6": Check(
        exercise="5.6",
        solution="sparrow.evaluate.voting:majority_vote",
        groups={MOST: 0.5, SILENT: 0.25, TIES: 0.25},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
