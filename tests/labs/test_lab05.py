"""The checks of lab 05 refuse likely mistakes, and accept what is written otherwise."""

import importlib
import math
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest

from sparrow.checks import find, library
from sparrow.checks.judging import Outcome
from sparrow.checks.runner import run_public
from sparrow.evaluate import evidence, intervals, paired, passk, samples, voting
from sparrow.evaluate.intervals import Interval
from sparrow.evaluate.paired import McNemar
from sparrow.runtime import generator
from tests.labs import harness
from tests.labs.harness import Mutant, patched

Function = Callable[..., Any]
# The package has a function of that name, too.
find_answer = importlib.import_module("sparrow.verify.score").find_answer
FIND = "sparrow.verify.score:find_answer"
PASS = "sparrow.evaluate.passk:pass_at_k"
WILSON = "sparrow.evaluate.intervals:wilson_interval"
MCNEMAR = "sparrow.evaluate.paired:mcnemar"
VOTE = "sparrow.evaluate.voting:majority_vote"
BUILT = ("5.2", "5.3", "5.4", "5.5", "5.6")


# ---- 5.1: a guess ----

WRONG_GUESSES = [
    Mutant("untouched", None, "no guess yet"),
    Mutant("text", "10", "got str"),
    Mutant("negative", -1, "more than zero"),
    Mutant("nothing at all", 0, "more than zero"),
    Mutant("for ever", math.inf, "not infinite"),
]
RIGHT_GUESSES = [28, 0.5]


# ---- 5.2: one answer, in its place ----


def first_answer(completion: str) -> tuple[str | None, str]:
    """Whatever stands inside the first pair of tags."""
    hit = re.search(r"<answer>(.*?)</answer>", completion, re.DOTALL)
    return (hit[1].strip(), "") if hit else (None, "none")


def last_answer(completion: str) -> tuple[str | None, str]:
    """Whatever stands inside the last pair of tags."""
    hits = re.findall(r"<answer>(.*?)</answer>", completion, re.DOTALL)
    return (hits[-1].strip(), "") if hits else (None, "none")


def with_tags(completion: str) -> tuple[str | None, str]:
    found, why = find_answer(completion)
    return (found if found is None else f"<answer>{found}</answer>"), why


def without_spaces(completion: str) -> tuple[str | None, str]:
    found, why = find_answer(completion)
    return (found if found is None else "".join(found.split())), why


def ascii_only(completion: str) -> tuple[str | None, str]:
    found, why = find_answer(completion)
    return (found if found is None else re.sub(r"[^0-9+*/() -]", "", found)), why


WRONG_ANSWERS = [
    Mutant("the first one", first_answer, "takes the first answer"),
    Mutant("the last one", last_answer, "takes the last of several"),
    Mutant("tags and all", with_tags, "no part of the answer", earns=0.55),
    Mutant("no spaces inside", without_spaces, earns=0.8),
    Mutant("cleaned", ascii_only, earns=0.8),
    Mutant(
        "spaces around",
        patched(
            FIND, '.removesuffix("</answer>").strip()', '.removesuffix("</answer>")'
        ),
        "Spaces around",
    ),
    Mutant(
        "a chatty end",
        patched(FIND, 'rest.endswith("</answer>")', "True"),
        earns=0.7,
    ),
    Mutant(
        "a chatty beginning",
        patched(FIND, 'rest.startswith("<answer>")', "True"),
        earns=0.7,
    ),
    Mutant(
        "two thoughts",
        patched(
            FIND, '("</think>", "<answer>", "</answer>")', '("<answer>", "</answer>")'
        ),
    ),
    Mutant("the thought begins twice", patched(FIND, '"<think>" in text', "False")),
    Mutant(
        "no reason", lambda completion: (find_answer(completion)[0], ""), "say what"
    ),
    Mutant("no pair", lambda completion: find_answer(completion)[0], "two things", 0),
    Mutant("nothing is ever found", lambda completion: (None, "no"), "where there is"),
]


def find_by_pattern(completion: str) -> tuple[str | None, str]:
    """One pattern for the whole text, without any tag inside its parts."""
    free = r"((?:(?!</?think>|</?answer>).)*)"
    whole = (
        rf"\s*(?:<think>)?{free}</think>\s*<answer>{free}</answer>\s*(?:<\|end\|>)?\s*"
    )
    hit = re.fullmatch(whole, completion, re.DOTALL)
    return (hit[2].strip(), "") if hit else (None, "The form is not kept.")


def find_by_splitting(completion: str) -> tuple[str | None, str]:
    """Cut at every tag, and look at the order of tags."""
    pieces = re.split(r"(</?think>|</?answer>)", completion.strip())
    if pieces[:2] == ["", "<think>"]:
        pieces = pieces[2:]
    if pieces[1::2] != ["</think>", "<answer>", "</answer>"]:
        return None, "tags are missing, doubled or in the wrong order"
    _thought, between, said, rest = pieces[::2]
    if between.strip() or rest.strip() not in ("", "<|end|>"):
        return None, "there is more than an answer"
    return said.strip(), ""


# ---- 5.3: pass@k ----

WRONG_TRIES = [
    Mutant(
        "put back", lambda n, c, k: 1 - (1 - c / n) ** k, "drawn is not in the bag", 0
    ),
    Mutant("one try", lambda n, c, k: c / n, "one try", earns=0),
    Mutant("no sample is right", patched(PASS, "return 1.0 - missed", "return missed")),
    Mutant(
        "all are right",
        lambda n, c, k: math.comb(c, k) / math.comb(n, k),
        "all k samples",
    ),
    Mutant("chances added", lambda n, c, k: min(1.0, k * c / n), "do not add up"),
    Mutant("one more", patched(PASS, "range(k)", "range(k + 1)"), "One more or one"),
    Mutant("one fewer", patched(PASS, "range(k)", "range(k - 1)"), "One more or one"),
    Mutant(
        "binomials as floats",
        lambda n, c, k: 1 - float(math.comb(n - c, k)) / float(math.comb(n, k)),
        earns=0.8,
    ),
    Mutant("never sure", patched(PASS, "return 1.0\n", "return 0.0\n"), earns=0.7),
    Mutant("prints instead", lambda n, c, k: None, "return missing", 0),
]


def pass_by_binomials(n: int, c: int, k: int) -> float:
    """Python's whole numbers never overflow."""
    return 1 - float(Fraction(math.comb(n - c, k), math.comb(n, k)))


def pass_by_product(n: int, c: int, k: int) -> float:
    """The other way to write the product: over the right samples."""
    missed = math.prod(1 - k / each for each in range(n - c + 1, n + 1))
    return 1 - missed if n - c >= k else 1


# ---- 5.4: Wilson ----


def textbook(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    half = z * math.sqrt(share * (1 - share) / trials)
    return Interval(share, share - half, share + half, trials)


def cut_textbook(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    found = textbook(successes, trials, confidence)
    return Interval(found.estimate, max(0, found.low), min(1, found.high), trials)


WRONG_BOUNDS = [
    Mutant("the textbook's", textbook, "promises too much", earns=0),
    Mutant("the textbook's, cut", cut_textbook, "textbook's", earns=0),
    Mutant(
        "one side", patched(WILSON, "(1 + confidence) / 2", "confidence"), "each side"
    ),
    Mutant(
        "always 95 %",
        patched(WILSON, "(1 + confidence) / 2", "0.975"),
        "not used",
        earns=0.8,
    ),
    Mutant(
        "not divided",
        patched(WILSON, "1 + z**2 / trials", "1"),
        "not divided by 1 + z²/n",
    ),
    Mutant(
        "no root", patched(WILSON, "math.sqrt(spread)", "spread"), "root is missing"
    ),
    Mutant(
        "the middle is the share",
        patched(WILSON, "share + z**2 / (2 * trials)", "share"),
        "towards one half",
    ),
    Mutant(
        "half of the spread",
        patched(WILSON, " + z**2 / (4 * trials**2)", ""),
        "second part of the spread",
    ),
    Mutant(
        "bounds swapped",
        lambda successes, trials, confidence=0.95: (
            lambda each: Interval(each.estimate, each.high, each.low, each.n)
        )(intervals.wilson_interval(successes, trials, confidence)),
    ),
    Mutant("a pair", lambda successes, trials, confidence=0.95: (0.1, 0.9), "Interval"),
]


def wilson_by_roots(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """The quadratic, by its formula."""
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    n, p = trials, successes / trials
    a, b, c = 1 + z2 / n, -(2 * p + z2 / n), p * p
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    return Interval(p, (-b - root) / (2 * a), (-b + root) / (2 * a), n)


def wilson_by_halving(
    successes: int, trials: int, confidence: float = 0.95
) -> Interval:
    """Search the bounds that the definition allows."""
    z, p = NormalDist().inv_cdf((1 + confidence) / 2), successes / trials

    def allowed(q: float) -> bool:
        return (p - q) ** 2 <= z * z * q * (1 - q) / trials

    found = []
    for end in (0.0, 1.0):
        inside, outside = p, end
        for _round in range(80):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if allowed(middle) else (inside, middle)
        # Where p is itself the end, nothing lies outside.
        found.append(end if p == end else inside)
    return Interval(p, found[0], found[1], trials)


# ---- 5.5: McNemar ----


def all_right(a: list[bool], b: list[bool]) -> McNemar:
    return McNemar(sum(a), sum(b), paired.mcnemar(a, b).p_value)


def by_bell(a: list[bool], b: list[bool]) -> McNemar:
    found = paired.mcnemar(a, b)
    tosses = found.only_a + found.only_b
    away = abs(found.only_a - found.only_b) / math.sqrt(max(tosses, 1))
    return McNemar(found.only_a, found.only_b, math.erfc(away / math.sqrt(2)))


WRONG_TOSSES = [
    Mutant("swapped", lambda a, b: paired.mcnemar(b, a), "swapped", earns=0.7),
    Mutant("all right answers", all_right, "that the other missed", earns=0.7),
    Mutant("one side", patched(MCNEMAR, "2 * ways", "ways"), "one side only"),
    Mutant("exactly so many", patched(MCNEMAR, "range(fewer + 1)", "[fewer]"), "fewer"),
    Mutant(
        "fewer only",
        patched(MCNEMAR, "range(fewer + 1)", "range(fewer)"),
        "number that was seen",
    ),
    Mutant("more than 1", patched(MCNEMAR, "min(1.0, ", "("), "at most 1", earns=0.8),
    Mutant("a bell curve", by_bell, "approximation"),
    Mutant(
        "all questions are tosses",
        patched(MCNEMAR, "only_a + only_b, min", "len(first), min"),
    ),
    Mutant("only p", lambda a, b: 0.5, "Return a McNemar", earns=0),
]


def mcnemar_by_lists(a: list[bool], b: list[bool]) -> McNemar:
    """Plain Python, and the larger tail."""
    alone = Counter((bool(x), bool(y)) for x, y in zip(a, b, strict=True))
    x, y = alone[True, False], alone[False, True]
    tail = sum(math.comb(x + y, heads) for heads in range(max(x, y), x + y + 1))
    return McNemar(x, y, float(min(Fraction(1), Fraction(2 * tail, 2 ** (x + y)))))


def mcnemar_by_steps(a: list[bool], b: list[bool]) -> McNemar:
    """Chances toss by toss, without binomials."""
    differ = [x for x, y in zip(a, b, strict=True) if x != y]
    heads = [1.0]
    for _toss in differ:
        heads = [
            (one + other) / 2
            for one, other in zip([*heads, 0.0], [0.0, *heads], strict=True)
        ]
    x = sum(differ)
    y = len(differ) - x
    return McNemar(x, y, 1.0 if x == y else 2 * sum(heads[: min(x, y) + 1]))


# ---- 5.6: votes ----

WRONG_VOTES = [
    Mutant(
        "silence votes",
        patched(VOTE, " if answer is not None", ""),
        "does not vote",
        earns=0.75,
    ),
    Mutant(
        "the last of equals",
        lambda answers: voting.majority_vote(answers[::-1]),
        "this takes the last",
    ),
    Mutant(
        "sorted",
        lambda answers: voting.majority_vote(sorted(filter(None, answers))),
        "do not sort",
        earns=0.75,
    ),
    Mutant("the largest", lambda answers: max(filter(None, answers), default=None)),
    Mutant(
        "the first",
        lambda answers: next(filter(None, answers), None),
        "count the votes",
    ),
    Mutant(
        "number of votes",
        lambda answers: max(Counter(filter(None, answers)).values(), default=0),
        "who got them",
        earns=0,
    ),
    Mutant(
        "nobody is an error",
        patched(VOTE, "return None", 'raise ValueError("no votes")'),
        earns=0.75,
    ),
    Mutant(
        "an empty text for nobody",
        patched(VOTE, "return None", 'return ""'),
        "no winner",
        earns=0.75,
    ),
]


def vote_by_common(answers: list[str | None]) -> str | None:
    """most_common keeps the order of equals."""
    found = Counter(filter(lambda each: each is not None, answers)).most_common(1)
    return found[0][0] if found else None


def vote_by_counting(answers: list[str | None]) -> str | None:
    """No dictionary at all."""
    best, most = None, 0
    for answer in answers:
        if answer is not None and answers.count(answer) > most:
            best, most = answer, answers.count(answer)
    return best


EXERCISES = {
    "5.1": harness.Exercise(WRONG_GUESSES, RIGHT_GUESSES),
    "5.2": harness.Exercise(
        WRONG_ANSWERS, [find_answer, find_by_pattern, find_by_splitting]
    ),
    "5.3": harness.Exercise(
        WRONG_TRIES, [passk.pass_at_k, pass_by_binomials, pass_by_product]
    ),
    "5.4": harness.Exercise(
        WRONG_BOUNDS, [intervals.wilson_interval, wilson_by_roots, wilson_by_halving]
    ),
    "5.5": harness.Exercise(
        WRONG_TOSSES, [paired.mcnemar, mcnemar_by_lists, mcnemar_by_steps]
    ),
    "5.6": harness.Exercise(
        WRONG_VOTES, [voting.majority_vote, vote_by_common, vote_by_counting]
    ),
}


@pytest.mark.parametrize(*harness.wrong(EXERCISES))
def test_a_wrong_solution_is_refused(exercise: str, mutant: Mutant) -> None:
    harness.refuse(exercise, mutant)


@pytest.mark.parametrize(*harness.right(EXERCISES))
def test_a_right_solution_is_accepted(exercise: str, answer: Any) -> None:
    harness.accept(exercise, answer)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_check_is_tried_enough(exercise: str) -> None:
    harness.has_enough(EXERCISES[exercise])


@pytest.mark.parametrize("exercise", BUILT)
def test_a_stub_earns_nothing(exercise: str) -> None:
    harness.refuse_stub(exercise)


# ---- 5.7: the report ----

PROBLEMS = samples.examination("countdown")
SOLVED = [row[0] for row in samples.shipped("pico-cold-start", "countdown").texts]
OTHER = [row[1] for row in samples.shipped("pico-cold-start", "countdown").texts]
NOTHING = ["<think></think><answer>1</answer>"] * len(PROBLEMS)


def claim_of(a: list[str], b: list[str]) -> dict[str, Any]:
    """The honest claim about two columns."""
    right = [evidence.right(each) for each in (a, b)]
    found = paired.paired_difference(*right, generator=generator(3))
    verdict = "a" if found.low > 0 else "b" if found.high < 0 else "cannot distinguish"
    return {
        "difference": found.estimate,
        "low": found.low,
        "high": found.high,
        "p_value": paired.mcnemar(*right).p_value,
        "verdict": verdict,
    }


EVEN, WON = claim_of(SOLVED, OTHER), claim_of(SOLVED, NOTHING)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the check looks for the file."""
    monkeypatch.setenv("SPARROW_HOME", str(tmp_path))


def judged(folder: Path, a: list[str], b: list[str], said: dict[str, Any]) -> Outcome:
    """What the check says of this file."""
    evidence.leave(folder / evidence.FILE, a=a, b=b, said=said)
    return run_public(find("5.7"), said)


def test_an_honest_report_passes_whatever_its_verdict(tmp_path: Path) -> None:
    assert EVEN["verdict"] == "cannot distinguish"
    assert WON["verdict"] == "a"
    assert judged(tmp_path, SOLVED, OTHER, EVEN).passed
    assert judged(tmp_path, SOLVED, NOTHING, WON).passed
    lost = claim_of(NOTHING, SOLVED)
    assert lost["verdict"] == "b"
    assert judged(tmp_path, NOTHING, SOLVED, lost).passed


def test_an_interval_by_a_formula_passes_too(tmp_path: Path) -> None:
    a, b = evidence.right(SOLVED), evidence.right(OTHER)
    changes = [x - y for x, y in zip(a, b, strict=True)]
    mean = sum(changes) / len(changes)
    spread = math.sqrt(sum((each - mean) ** 2 for each in changes) / len(changes))
    half = 1.96 * spread / math.sqrt(len(changes))
    claim = {**EVEN, "low": mean - half, "high": mean + half}
    assert judged(tmp_path, SOLVED, OTHER, claim).passed


@pytest.mark.parametrize(
    ("change", "says", "earns"),
    [
        ({"verdict": "a"}, "names a winner", 0.8),
        ({"verdict": "A is better"}, "The verdict is one of", 0.8),
        ({"verdict": None}, "The verdict is one of", 0.8),
        ({"difference": -EVEN["difference"]}, "The sign is wrong", 0.8),
        ({"difference": 100 * EVEN["difference"]}, "These are points", 0.8),
        ({"difference": 0.3}, "Judged again", 0.8),
        ({"low": None}, "low must be a number", 0.2),
        ({"low": EVEN["high"], "high": EVEN["low"]}, "low is larger", 0.4),
        ({"low": -0.5, "high": 0.5}, "too wide", 0.4),
        (
            {"low": EVEN["difference"] - 1e-3, "high": EVEN["difference"] + 1e-3},
            "too narrow",
            0.4,
        ),
        ({"low": 0.5, "high": 0.8}, "not in the interval", 0.4),
        ({"p_value": EVEN["p_value"] / 2}, "of one side", 0.4),
        ({"p_value": 0.04}, "not that of McNemar", 0.4),
    ],
)
def test_a_report_that_claims_something_else_hears_why(
    tmp_path: Path, change: dict[str, Any], says: str, earns: float
) -> None:
    outcome = judged(tmp_path, SOLVED, OTHER, {**EVEN, **change})
    assert outcome.points_frac == pytest.approx(earns)
    assert says in " ".join(each.message for each in outcome.groups)


def test_two_separate_shares_are_no_pair(tmp_path: Path) -> None:
    a, b = evidence.right(SOLVED), evidence.right(NOTHING)
    # both columns alike, so that pairing matters: b is a but for a few questions
    nearly = [*SOLVED[:190], *NOTHING[190:]]
    shares = [sum(evidence.right(each)) / len(a) for each in (SOLVED, nearly)]
    half = 1.96 * math.sqrt(sum(p * (1 - p) for p in shares) / len(b))
    gain = shares[0] - shares[1]
    claim = {**claim_of(SOLVED, nearly), "low": gain - half, "high": gain + half}
    outcome = judged(tmp_path, SOLVED, nearly, claim)
    assert "two separate shares" in " ".join(each.message for each in outcome.groups)


def test_one_column_twice_or_nothing_solved_is_no_comparison(tmp_path: Path) -> None:
    twice = judged(tmp_path, SOLVED, SOLVED, claim_of(SOLVED, SOLVED))
    assert "ask twice" in twice.groups[0].message
    other = [text.replace("1", "2") for text in NOTHING]
    nothing = judged(tmp_path, NOTHING, other, claim_of(NOTHING, other))
    assert "No text solves" in nothing.groups[0].message


def test_without_a_file_the_claim_alone_earns_nothing() -> None:
    outcome = run_public(find("5.7"), EVEN)
    assert outcome.points_frac == 0
    assert "is not there" in outcome.groups[0].message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[1]",
        b"[" * 10_000,
        b'{"a": [], "b": [], "said": {}}',
        b'{"a": 1, "b": 2, "said": 3}',
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / evidence.FILE).write_bytes(data)
    outcome = run_public(find("5.7"), EVEN)
    assert outcome.points_frac == 0
    assert outcome.groups[0].message


def test_the_check_of_a_search_meets_the_library_not_the_learner() -> None:
    library.replace(FIND, lambda completion: ("29", ""))
    try:
        assert run_public(find("5.2"), find_answer).passed
    finally:
        library.put_back(FIND)
