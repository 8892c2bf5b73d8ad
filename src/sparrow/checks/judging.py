"""Judge answers group by group; a group earns its share only as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass

from sparrow.checks import library
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _

__all__ = ["Answer", "GroupResult", "Outcome", "judge"]


@dataclass(frozen=True)
class Answer:
    """What one case gave: a value, or a sentence that says why there is none."""

    value: Plain = None
    failure: str = ""


@dataclass(frozen=True)
class GroupResult:
    """One group: all of its cases right, or the likeliest cause of the first wrong."""

    name: str
    share: float
    passed: bool
    message: str = ""


@dataclass(frozen=True)
class Outcome:
    """How an exercise did, group by group."""

    exercise: str
    groups: tuple[GroupResult, ...]

    @property
    def passed(self) -> bool:
        """Every group is right."""
        return bool(self.groups) and all(each.passed for each in self.groups)

    @property
    def points_frac(self) -> float:
        """The share of the points that was earned, from 0 to 1."""
        if self.passed:
            return 1.0  # shares such as three thirds need not sum to 1 exactly
        return sum(each.share for each in self.groups if each.passed)


def judge(check: Check, cases: Sequence[Case], answers: Sequence[Answer]) -> Outcome:
    """Compare every answer with its reference, and sum the groups up.

    A case without an answer counts as wrong, and so does a group without cases.
    """
    missing = Answer(failure=_("There is no answer."))
    padded = [*answers, *[missing] * (len(cases) - len(answers))]
    groups = []
    for name, share in check.groups.items():
        verdicts = [
            _verdict(check, case, answer)
            for case, answer in zip(cases, padded, strict=False)
            if case.group == name
        ]
        wrong = next((each for each in verdicts if not each.passed), None)
        groups.append(
            GroupResult(
                name=name,
                share=share,
                passed=bool(verdicts) and wrong is None,
                message=wrong.message if wrong else "",
            )
        )
    return Outcome(check.exercise, tuple(groups))


def _verdict(check: Check, case: Case, answer: Answer) -> Verdict:
    if answer.failure:
        return Verdict(False, answer.failure)
    with library.as_written():
        expected = check.expected(case)
        try:
            return check.compare(case, expected, answer.value)
        except Exception as error:
            # A strange answer must cost its author a point, not everybody the grading.
            return Verdict(
                False,
                _(
                    "The result could not be compared ({error}): does it have the "
                    "type and the shape that the text asks for?",
                    error=type(error).__name__,
                ),
            )
