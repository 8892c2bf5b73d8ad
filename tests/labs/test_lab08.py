"""The checks of lab 08 refuse likely mistakes, and accept what is written otherwise."""

import functools
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sparrow.data import countdown
from sparrow.distill import recorded, sampler, soft
from sparrow.distill.budget import Work
from sparrow.evaluate.run import Answers
from tests.labs import harness
from tests.labs.harness import Left, Mutant, patched

Function = Callable[..., Any]
KEEP = "sparrow.distill.sampler:keep_right"
LEAK = "sparrow.distill.sampler:is_leak"
HARD = "sparrow.distill.soft:surprise"
FORWARD = "sparrow.distill.soft:forward_kl"
REVERSE = "sparrow.distill.soft:reverse_kl"
BUILT = ("8.2", "8.3", "8.4", "8.5", "8.6")


# ---- 8.1: a guess ----

WRONG_GUESSES = [
    Mutant("untouched", None, "no guess yet"),
    Mutant("text", "70", "got str"),
    Mutant("negative", -1, "more than zero"),
    Mutant("nothing at all", 0, "more than zero"),
    Mutant("for ever", math.inf, "not infinite"),
]
RIGHT_GUESSES = [70, 0.5]


# ---- 8.2: what is kept ----


def each_text_once(answers: Answers, most: int) -> list[tuple[str, str]]:
    """What another problem has already is left out."""
    found: dict[str, str] = {}
    for question, text in sampler.keep_right(answers, most):
        found.setdefault(text, question)
    return [(question, text) for text, question in found.items()]


WRONG_LESSONS = [
    Mutant(
        "wrong ones, too", patched(KEEP, " if score.reward == 1", ""), "Wrong answers"
    ),
    Mutant(
        "half right",
        patched(KEEP, "score.reward == 1", "score.reward > 0"),
        "Half right is not right",
    ),
    Mutant(
        "only wrong ones",
        patched(KEEP, "score.reward == 1", "score.reward < 1"),
        "thrown away",
        earns=0,
    ),
    Mutant(
        "twice",
        patched(KEEP, "list(dict.fromkeys(right))", "right"),
        "more than once",
        earns=0.35,
    ),
    Mutant(
        "too many",
        patched(KEEP, "different[:most]", "different"),
        "at most `most`",
        earns=0.65,
    ),
    Mutant(
        "cut too early",
        patched(KEEP, "dict.fromkeys(right)", "dict.fromkeys(right[:most])"),
        "Cut after removing",
        earns=0.65,
    ),
    Mutant(
        "the last ones",
        patched(KEEP, "different[:most]", "different[-most:]"),
        "these are the last",
        earns=0.65,
    ),
    Mutant(
        "the shortest",
        patched(KEEP, "list(dict.fromkeys(right))", "sorted(set(right), key=len)"),
    ),
    Mutant(
        "by the alphabet",
        patched(KEEP, "list(dict.fromkeys(right))", "sorted(set(right))"),
    ),
    Mutant(
        "so many of all",
        patched(KEEP, "return kept", "return kept[:most]"),
        "for all together",
    ),
    Mutant("one less", patched(KEEP, "[:most]", "[: most - 1]"), "one less", 0.65),
    Mutant(
        "texts alone",
        patched(KEEP, "(problem.question, text) for", "text for"),
        "is a pair",
        earns=None,
    ),
    Mutant(
        "answers before questions",
        patched(KEEP, "(problem.question, text)", "(text, problem.question)"),
    ),
    Mutant(
        "each text once in all",
        each_text_once,
        "Another problem may",
    ),
    Mutant("prints instead", lambda answers, most: None, "return missing", 0),
]


def lessons_by_loop(answers: Answers, most: int) -> list[tuple[str, str]]:
    """One answer after the other, with a list of what was seen."""
    found = []
    for place, problem in enumerate(answers.problems):
        seen: list[str] = []
        for at, text in enumerate(answers.texts[place]):
            is_right = answers.scores[place][at].correctness == 1.0
            if is_right and text not in seen and len(seen) < most:
                seen.append(text)
                found.append((problem.question, text))
    return found


def lessons_by_tools(answers: Answers, most: int) -> tuple[tuple[str, str], ...]:
    """The rewards as a tensor, iterators, and a tuple at the end."""
    is_right = (answers.rewards == 1).tolist()

    def of(row: int) -> list[str]:
        chosen = itertools.compress(answers.texts[row], is_right[row])
        return list(itertools.islice(dict.fromkeys(chosen), most))

    return tuple(
        (problem.question, text)
        for row, problem in enumerate(answers.problems)
        for text in of(row)
    )


# ---- 8.3: leaks ----


def numbers_of(question: str) -> list[int]:
    return [int(word) for word in question.split() if word.isdecimal()]


@functools.cache
def some_tests() -> set[str]:
    drawn = countdown.problems(
        torch.Generator().manual_seed(1), 20, numbers=3, largest=12, held_out=True
    )
    return {each.question for each in drawn}


WRONG_LEAKS = [
    Mutant("turned round", lambda question: not sampler.is_leak(question), "round"),
    Mutant("never", lambda question: False, "Nothing is ever found", 0),
    Mutant("always", lambda question: True, "Everything is called a leak", 0),
    Mutant("by text", lambda question: question in some_tests(), earns=0),
    Mutant(
        "the target among the numbers",
        patched(LEAK, "for each in numbers]", "for each in [*numbers, *target]]"),
    ),
    Mutant(
        "any words",
        lambda question: (
            len(found := numbers_of(question)) > 1
            and countdown.is_held_out(found[:-1], found[-1])
        ),
        "another kind",
        earns=0.65,
    ),
    Mutant(
        "no numbers",
        patched(LEAK, "not numbers or ", ""),
        "without numbers",
        earns=0.65,
    ),
    Mutant(
        "stops at words", patched(LEAK, "each.isdecimal()", "True"), "int()", earns=0.65
    ),
    Mutant(
        "stops at the end",
        patched(LEAK, "or not target ", ""),
        earns=0.65,
    ),
    Mutant("says 1", lambda question: int(sampler.is_leak(question)), "True or False"),
    Mutant("says nothing", lambda question: None, "True or False", 0),
]


def leak_by_try(question: str) -> bool:
    """Try to read it; whatever goes wrong, it is no test."""
    try:
        before, after = question.split("target")
        word, *numbers = before.split()
        (target,) = after.split()
        given = [int(each) for each in numbers]
        return (
            word == "numbers"
            and len(given) > 0
            and countdown.is_held_out(given, int(target))
        )
    except ValueError:
        return False


def leak_by_pattern(question: str) -> bool:
    """One regular expression."""
    import re

    found = re.fullmatch(r"\s*numbers((?:\s+\d+)+)\s+target\s+(\d+)\s*", question)
    if not found:
        return False
    return countdown.is_held_out([*map(int, found[1].split())], int(found[2]))


# ---- 8.4: the hard target ----

WRONG_SURPRISES = [
    Mutant("no minus", patched(HARD, "return -found", "return found"), "minus", 0),
    Mutant("scores", patched(HARD, ".log_softmax(dim=-1)", ""), "log-probabilities"),
    Mutant("probabilities", patched(HARD, "log_softmax", "softmax"), "their logarithm"),
    Mutant(
        "over places",
        patched(HARD, "log_softmax(dim=-1)", "log_softmax(dim=0)"),
        "last axis",
    ),
    Mutant(
        "its own choice",
        lambda student, chosen: -student.float().log_softmax(-1).amax(-1),
        "take the teacher's",
    ),
    Mutant("a mean", patched(HARD, "return -found", "return -found.mean()"), "shape"),
    Mutant(
        "not picked", patched(HARD, "return -found", "return -given"), "shape", earns=0
    ),
    Mutant("an axis too many", patched(HARD, ".squeeze(-1)", ""), "shape", earns=0),
    Mutant(
        "bits",
        lambda student, chosen: soft.surprise(student, chosen) / math.log(2),
        "natural one",
        earns=0,
    ),
    Mutant(
        "the logarithm of nothing",
        lambda student, chosen: (
            -(student.float().softmax(-1).gather(-1, chosen[..., None])[..., 0].log())
        ),
        earns=0.7,
    ),
    Mutant("half precision", patched(HARD, ".float()", ""), "type", 0.7),
    Mutant(
        "nothing learns",
        patched(HARD, "student.float()", "student.detach().float()"),
        "nothing can learn",
        earns=0.75,
    ),
]


def surprise_by_pytorch(student: Tensor, chosen: Tensor) -> Tensor:
    """Cross-entropy of all places in a row."""
    flat = F.cross_entropy(
        student.float().flatten(0, -2), chosen.flatten(), reduction="none"
    )
    return flat.view(chosen.shape)


def surprise_by_sums(student: Tensor, chosen: Tensor) -> Tensor:
    """The logarithm of all together, less the score of the one."""
    scores = student.to(torch.float32)
    one = F.one_hot(chosen, scores.shape[-1]).to(scores)
    return scores.logsumexp(-1) - (scores * one).sum(-1)


# ---- 8.5 and 8.6: the soft targets ----


def wrong_distances(symbol: str, good: Function, bad: Function) -> list[Mutant]:
    """The same mistakes in both directions."""
    return [
        Mutant("the other direction", bad, "other direction"),
        Mutant(
            "negative",
            lambda teacher, student, temperature=1.0: (
                -good(teacher, student, temperature=temperature)
            ),
            "sign",
            earns=0,
        ),
        Mutant("a mean over words", patched(symbol, ".sum(", ".mean("), "Sum over", 0),
        Mutant("not summed", patched(symbol, ".sum(dim=-1)", ""), "shape", 0),
        Mutant("one number", patched(symbol, ".sum(dim=-1)", ".sum()"), "shape", 0),
        Mutant(
            "over places", patched(symbol, ".sum(dim=-1)", ".sum(dim=0)"), earns=None
        ),
        Mutant("no weights", patched(symbol, ".exp() *", "* 0 + 1 *"), "counts alike"),
        Mutant("logarithms as weights", patched(symbol, ".exp()", ""), "not their log"),
        Mutant(
            "no temperature",
            patched(symbol, " / temperature", ""),
            "is not used",
            earns=0.55,
        ),
        Mutant(
            "times the temperature",
            patched(symbol, "/ temperature", "* temperature"),
            "this multiplies",
            earns=0.55,
        ),
        Mutant(
            "only the teacher is flat",
            patched(symbol, "student.float() / temperature", "student.float()"),
            "Only the teacher",
            earns=0.55,
        ),
        Mutant(
            "only the student is flat",
            patched(symbol, "teacher.float() / temperature", "teacher.float()"),
            "Only the student",
            earns=0.55,
        ),
        Mutant("half precision", patched(symbol, ".float()", ""), "type", 0.8),
        Mutant(
            "the logarithm of nothing",
            lambda teacher, student, temperature=1.0: _by_probabilities(
                good is soft.forward_kl, teacher, student, temperature
            ),
            "NaN",
            earns=0.8,
        ),
        Mutant(
            "nothing learns",
            patched(symbol, "student.float()", "student.detach().float()"),
            "nothing can learn",
            earns=0.75,
        ),
    ]


def _by_probabilities(
    is_forward: bool, teacher: Tensor, student: Tensor, temperature: float
) -> Tensor:
    p, q = ((each.float() / temperature).softmax(-1) for each in (teacher, student))
    if not is_forward:
        p, q = q, p
    return (p * (p.log() - q.log())).sum(-1)


WRONG_FORWARD = wrong_distances(FORWARD, soft.forward_kl, soft.reverse_kl)
WRONG_REVERSE = wrong_distances(REVERSE, soft.reverse_kl, soft.forward_kl)
WRONG_FORWARD.append(
    Mutant(
        "cross-entropy",
        patched(FORWARD, "(wanted - given)", "-given"),
        "entropy is missing",
        earns=0,
    )
)


def forward_by_pytorch(
    teacher: Tensor, student: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """F.kl_div, which wants the student first."""
    wanted, given = (
        F.log_softmax(each.float() / temperature, -1) for each in (teacher, student)
    )
    return F.kl_div(given, wanted, reduction="none", log_target=True).sum(-1)


def forward_by_entropies(
    teacher: Tensor, student: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """Cross-entropy less the teacher's own entropy, word by word."""
    wanted = torch.log_softmax(teacher.float().div(temperature), -1)
    given = student.float().div(temperature)
    given = given - given.logsumexp(-1, keepdim=True)
    return torch.einsum("...v,...v->...", wanted.exp(), wanted - given)


def reverse_by_pytorch(
    teacher: Tensor, student: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """The forward one with changed places."""
    return forward_by_pytorch(student, teacher, temperature=temperature)


def reverse_by_sums(
    teacher: Tensor, student: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """Both at once, and one sum over products."""
    both = torch.stack([student, teacher]).float().div(temperature)
    own, other = both - both.logsumexp(-1, keepdim=True)
    return torch.einsum("...v,...v->...", own.exp(), own - other)


# ---- 8.7: the file that the lab leaves ----

WORK = {"written": 1000, "learned": 50 * 24 * 224}
RECIPE = {"seed": 2026, "steps": 50, "batch_size": 24, "length": 224}


THEIRS = recorded.mean_shares("short", "reward")
# Better at every third problem, worse at every seventh.
MINE = [
    min(1.0, each + 0.5) if place % 3 == 0 else max(0.0, each - 0.25 * (place % 7 == 1))
    for place, each in enumerate(THEIRS)
]
CHANGES = [one - other for one, other in zip(MINE, THEIRS, strict=True)]
N = len(CHANGES)
MEAN = sum(CHANGES) / N
DEVIATION = (sum((each - MEAN) ** 2 for each in CHANGES) / (N - 1)) ** 0.5
HALF = 1.96 * DEVIATION / N**0.5


def claim_of(
    half: float = HALF, mean: float = MEAN, middle: float | None = None
) -> dict[str, Any]:
    middle = mean if middle is None else middle
    return {"difference": mean, "low": middle - half, "high": middle + half}


def left(claim: Any = None, **changes: Any) -> Left:
    """What the driver would tell of a good file, with some changes."""
    good = {
        "work": WORK,
        "recipe": RECIPE,
        "shares": {"before": [0.25] * N, "after": MINE},
        "claim": claim_of() if claim is None else claim,
    }
    return Left({**good, **changes})


def spread(values: list[float]) -> float:
    mean = sum(values) / N
    return sum((each - mean) ** 2 for each in values) / (N - 1) / N


WRONG_LEFT = [
    Mutant("no bill", left(work=None), "no bill", 0),
    Mutant("nothing written", left(work={**WORK, "written": 0}), "above 0", 0),
    Mutant("endless", left(work={**WORK, "written": math.inf}), "above 0", 0),
    Mutant("text", left(work={**WORK, "learned": "9"}), "got str", 0),
    Mutant("no seed", left(recipe={**RECIPE, "seed": None}), "no seed", 0),
    Mutant("a cheaper bill", left(work={**WORK, "learned": 9}), "not that of", 0),
    Mutant(
        "too dear",
        left(
            work={**WORK, "learned": 9000 * 24 * 224}, recipe={**RECIPE, "steps": 9000}
        ),
        "cost more",
        earns=0,
    ),
    Mutant(
        "untaught",
        left(shares={"before": MINE, "after": [0.1] * N}),
        "no more than before",
        earns=0.3,
    ),
    Mutant("not claimed", left({}), "difference must be a number; got None", 0.3),
    Mutant("untouched", left({**claim_of(), "low": None}), "low must be", 0.3),
    Mutant("NaN", left({**claim_of(), "difference": math.nan}), "got nan", 0.3),
    Mutant("endless interval", left(claim_of(math.inf)), "got -inf", 0.3),
    Mutant("invented", left(claim_of(mean=0.4)), "examined again here", 0.3),
    Mutant("reward's minus yours", left(claim_of(mean=-MEAN)), "wrong sign", 0.3),
    Mutant("in points", left(claim_of(100 * HALF, 100 * MEAN)), "is a share", 0.3),
    Mutant("one deviation", left(claim_of(DEVIATION)), "one standard deviation", 0.3),
    Mutant("one error", left(claim_of(HALF / 1.96)), "times 1.96", 0.3),
    Mutant("no root", left(claim_of(1.96 * DEVIATION)), "root of the number of", 0.3),
    Mutant("divided by n", left(claim_of(HALF / N**0.5)), "not by the number", 0.3),
    Mutant(
        "as if other problems",
        left(claim_of(1.96 * (spread(MINE) + spread(THEIRS)) ** 0.5)),
        "the same problems",
        earns=0.3,
    ),
    Mutant("twice as wide", left(claim_of(2 * HALF)), "twice as far", 0.3),
    Mutant("beside it", left(claim_of(middle=MEAN + 0.1)), "in the middle", 0.3),
]
RIGHT_LEFT = [
    left(),
    left(claim_of(HALF * 1.04, MEAN + 0.01)),
    left(claim_of(HALF * 0.97, MEAN - 0.02)),
]


EXERCISES = {
    "8.1": harness.Exercise(wrong=WRONG_GUESSES, right=RIGHT_GUESSES),
    "8.2": harness.Exercise(
        wrong=WRONG_LESSONS,
        right=[sampler.keep_right, lessons_by_loop, lessons_by_tools],
    ),
    "8.3": harness.Exercise(
        wrong=WRONG_LEAKS, right=[sampler.is_leak, leak_by_try, leak_by_pattern]
    ),
    "8.4": harness.Exercise(
        wrong=WRONG_SURPRISES,
        right=[soft.surprise, surprise_by_pytorch, surprise_by_sums],
    ),
    "8.5": harness.Exercise(
        wrong=WRONG_FORWARD,
        right=[soft.forward_kl, forward_by_pytorch, forward_by_entropies],
    ),
    "8.6": harness.Exercise(
        wrong=WRONG_REVERSE,
        right=[soft.reverse_kl, reverse_by_pytorch, reverse_by_sums],
    ),
    "8.7": harness.Exercise(WRONG_LEFT, RIGHT_LEFT),
}


@pytest.mark.parametrize(*harness.wrong(EXERCISES))
def test_a_likely_mistake_is_refused_with_its_cause(
    exercise: str, mutant: Mutant
) -> None:
    harness.refuse(exercise, mutant)


@pytest.mark.parametrize(*harness.right(EXERCISES))
def test_what_is_right_passes_however_it_is_written(exercise: str, answer: Any) -> None:
    harness.accept(exercise, answer)


def test_a_larger_budget_is_compared_with_longer_runs() -> None:
    from sparrow.checks.lab08 import compared

    (short, *_others) = recorded.shipped("short", "reward")
    small = Work(written=1, learned=short.learned // 2)
    large = Work(written=1, learned=short.learned * 2)
    assert compared.budget_for(small) == "short"
    assert compared.budget_for(large) == "long"
    assert compared.budget_for(Work(written=1, learned=10**12)) is None


def test_without_the_file_nothing_is_earned(tmp_path: Path) -> None:
    harness.refuse_without_file("8.7", tmp_path)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_enough_mistakes_and_right_answers_are_tried(exercise: str) -> None:
    harness.has_enough(EXERCISES[exercise])


def test_every_exercise_of_the_lab_is_tried() -> None:
    from sparrow.checks import lab08

    assert set(EXERCISES) == set(lab08.CHECKS)


@pytest.mark.parametrize("exercise", BUILT)
def test_an_untouched_stub_earns_nothing_and_hears_what_to_do(exercise: str) -> None:
    harness.refuse_stub(exercise)


def test_no_message_shows_a_line_of_the_solution() -> None:
    pieces = ("fromkeys(", "gather(", "log_softmax(", ".exp()", "isdecimal")
    for exercise in BUILT:
        harness.keep_secret(exercise, EXERCISES[exercise], pieces)
