"""The checks of lab 10 refuse likely mistakes, and accept what is written otherwise."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from sparrow.errors import CacheFull
from sparrow.serve import scheduler, speculate
from sparrow.serve.blocks import BlockPool
from tests.labs import harness
from tests.labs.harness import Mutant, patched

SHARES = "sparrow.serve.scheduler:share_budget"
LEND = "sparrow.serve.blocks:BlockPool.allocate"
GIVE = "sparrow.serve.blocks:BlockPool.free"
FIND = "sparrow.serve.blocks:BlockPool.longest_prefix"
ACCEPT = "sparrow.serve.speculate:accept"
BUILT = ("10.2", "10.3", "10.4", "10.5", "10.6")

# ---- 10.1: a guess ----

WRONG_GUESSES = [
    Mutant("untouched", None, "no guess yet"),
    Mutant("text", "12", "got str"),
    Mutant("negative", -1, "more than zero"),
    Mutant("nothing at all", 0, "more than zero"),
    Mutant("for ever", math.inf, "not infinite"),
]

# ---- 10.2: a share of the step ----

WRONG_SHARES = [
    Mutant("as they came", patched(SHARES, "needs[each] > 1", "0"), "go first"),
    Mutant("prompts first", patched(SHARES, "needs[each] > 1", "needs[each] == 1")),
    Mutant("no budget", lambda needs, budget: list(needs), "more than the budget"),
    Mutant(
        "all of a prompt or nothing",
        patched(
            SHARES,
            "min(needs[each], budget)",
            "needs[each] if needs[each] <= budget else 0",
        ),
        "does not fit",
    ),
    Mutant(
        "the shortest first",
        patched(SHARES, "needs[each] > 1", "(needs[each], each)"),
        "oldest goes first",
    ),
    Mutant(
        "the newest first",
        patched(SHARES, "needs[each] > 1", "(needs[each] > 1, -each)"),
    ),
    Mutant(
        "one token each",
        lambda needs, budget: [1] * len(needs),
        "belongs to the prompts",
    ),
    Mutant("below zero", patched(SHARES, "budget -= counts", "budget -= 2 * counts")),
    Mutant("nothing", lambda needs, budget: None, "return missing", 0),
]


def shares_in_two_rounds(needs: Sequence[int], budget: int) -> list[int]:
    """Those that write, then the others."""
    counts = dict.fromkeys(range(len(needs)), 0)
    for writes in (True, False):
        for place, need in enumerate(needs):
            if (need == 1) is writes:
                counts[place] = min(need, budget)
                budget -= counts[place]
    return list(counts.values())


def shares_token_by_token(needs: Sequence[int], budget: int) -> list[int]:
    """One token at a time, in the right order."""
    counts = [0] * len(needs)
    order = [n for n, need in enumerate(needs) if need == 1]
    order += [n for n, need in enumerate(needs) if need != 1]
    for place in order:
        while counts[place] < needs[place] and sum(counts) < budget:
            counts[place] += 1
    return counts


# ---- 10.3: lend ----

WRONG_LENDING = [
    Mutant("no question", patched(LEND, "count > len(self.idle)", "False")),
    Mutant(
        "one too careful",
        patched(LEND, "count > len(self.idle)", "count >= len(self.idle)"),
        "were enough",
    ),
    Mutant("from the back", patched(LEND, "last=False", "last=True"), "from the front"),
    Mutant("remembers", patched(LEND, "self.forget(block)", "pass"), "forgotten"),
    Mutant(
        "no readers",
        patched(LEND, "self.readers[block] = 1", "pass"),
        "has one reader",
    ),
    Mutant(
        "still free",
        lambda self, count: list(self.idle)[:count],
    ),
    Mutant("one more", patched(LEND, "range(count)", "range(count + 1)")),
    Mutant("nothing", patched(LEND, "return taken", "return"), "return missing", 0),
    Mutant("half", lambda self, count: _lend_what_is_there(self, count)),
]


def _lend_what_is_there(self: BlockPool, count: int) -> list[int]:
    taken = []
    for _block in range(count):
        if not self.idle:
            raise CacheFull("too late")
        block = self.idle.popitem(last=False)[0]
        self.forget(block)
        self.readers[block] = 1
        taken.append(block)
    return taken


def lend_one_by_one(self: BlockPool, count: int) -> list[int]:
    """Each block is made ready as it is taken."""
    if self.free_blocks < count:
        raise CacheFull("wait")
    taken: list[int] = []
    while len(taken) < count:
        block = next(iter(self.idle))
        del self.idle[block]
        self.forget(block)
        self.readers[block] += 1
        taken.append(block)
    return taken


def lend_a_slice(self: BlockPool, count: int) -> list[int]:
    """All at once."""
    taken = list(self.idle)[:count]
    if len(taken) < count:
        raise CacheFull("wait")
    for block in taken:
        self.idle.pop(block)
        self.readers[block] = 1
        if self.contents[block] is not None:
            self.forget(block)
    return taken


# ---- 10.4: give back ----

WRONG_GIVING = [
    Mutant(
        "free at once",
        patched(GIVE, "if self.readers[block] == 0:", "if True:"),
        "not free",
    ),
    Mutant("no readers", patched(GIVE, "-= 1", "= 0"), "not all of them"),
    Mutant("all stay", patched(GIVE, "-= 1", "-= 0")),
    Mutant("first to last", patched(GIVE, "reversed(blocks)", "blocks")),
    Mutant(
        "all at the back",
        patched(GIVE, "last=self.contents[block] is not None", "last=True"),
    ),
    Mutant(
        "all at the front",
        patched(GIVE, "last=self.contents[block] is not None", "last=False"),
    ),
    Mutant(
        "the wrong ends",
        patched(GIVE, "block] is not None", "block] is None"),
    ),
    Mutant(
        "forgotten",
        patched(
            GIVE, "self.idle[block] = None", "self.idle[block] = self.forget(block)"
        ),
        "stays known",
    ),
    Mutant("lost", patched(GIVE, "if self.readers[block] == 0:", "if False:")),
]


def give_in_two_rounds(self: BlockPool, blocks: Sequence[int]) -> None:
    """Count first, then sort."""
    for block in blocks:
        self.readers[block] -= 1
    for block in blocks[::-1]:
        if not self.readers[block]:
            self.idle.update({block: None})
            if self.contents[block] is None:
                self.idle.move_to_end(block, last=False)


def give_from_the_end(self: BlockPool, blocks: Sequence[int]) -> None:
    """By a place that goes down."""
    for place in range(len(blocks) - 1, -1, -1):
        block = blocks[place]
        self.readers[block] = self.readers[block] - 1
        if self.readers[block] > 0:
            continue
        self.idle[block] = None
        end = self.contents[block] is not None
        self.idle.move_to_end(block, end)


# ---- 10.5: a known beginning ----

WRONG_FINDING = [
    Mutant("goes on", patched(FIND, "break", "continue"), "Stop at the first"),
    Mutant("one only", patched(FIND, "found.append(block)", "return [block]")),
    Mutant(
        "no chain",
        patched(FIND, "before = self.contents[block]", "before = None"),
        "behind the one before",
    ),
    Mutant("by the hash alone", lambda self, tokens: _by_hash(self, tokens)),
    Mutant("not full", lambda self, tokens: _not_full(self, tokens)),
    Mutant("nothing", patched(FIND, "return found", "return"), "return missing"),
    Mutant("never any", lambda self, tokens: []),
]


def _by_hash(self: BlockPool, tokens: Sequence[int]) -> list[int]:
    from sparrow.serve import blocks

    found, key, size = [], 0, self.block_size
    for start in range(0, len(tokens) - size + 1, size):
        key = blocks.content_hash(key, tokens[start : start + size])
        if key not in self.known:
            break
        found.append(self.known[key])
    return found


def _not_full(self: BlockPool, tokens: Sequence[int]) -> list[int]:
    found = BlockPool.longest_prefix(self, tokens)
    for content, block in zip(self.contents, range(99), strict=False):
        rest = tuple(tokens[len(found) * self.block_size :])
        if content and rest and content.tokens[: len(rest)] == rest:
            return [*found, block]
    return found


def find_by_recursion(self: BlockPool, tokens: Sequence[int]) -> list[int]:
    """The first block, then the same for what is left."""

    def behind(before: Any, left: list[tuple[int, ...]]) -> list[int]:
        block = self._find(before, left[0]) if left else None
        if block is None:
            return []
        return [block, *behind(self.contents[block], left[1:])]

    return behind(None, list(self._pieces(tokens)))


def find_by_places(self: BlockPool, tokens: Sequence[int]) -> list[int]:
    """With slices of its own."""
    found: list[int] = []
    size, start = self.block_size, 0
    while start + size <= len(tokens):
        before = self.contents[found[-1]] if found else None
        block = self._find(before, tuple(tokens[start : start + size]))
        if block is None:
            return found
        found += [block]
        start += size
    return found


# ---- 10.6: guesses that come true ----

WRONG_ACCEPT = [
    Mutant("all", lambda drawn, proposed: list(drawn), "nobody wrote"),
    Mutant("the guesses", lambda drawn, proposed: list(proposed), "not believed"),
    Mutant("never any", lambda drawn, proposed: [drawn[0]], "saves a pass"),
    Mutant("goes on", patched(ACCEPT, "break", "continue")),
    Mutant("not the first", lambda drawn, proposed: list(drawn[1:])),
    Mutant(
        "without the last draw",
        lambda drawn, proposed: speculate.accept(drawn, proposed)[:-1],
        "counts, too",
    ),
    Mutant("shifted", patched(ACCEPT, "!= kept[-1]", "!= token")),
    Mutant("nothing", lambda drawn, proposed: None, "return missing", 0),
]


def accept_by_counting(drawn: Sequence[int], proposed: Sequence[int]) -> list[int]:
    """How many guesses hold, and one more draw."""
    held = 0
    while held < len(proposed) and proposed[held] == drawn[held]:
        held += 1
    return list(drawn[: held + 1])


def accept_by_places(drawn: Sequence[int], proposed: Sequence[int]) -> list[int]:
    """The first place that differs."""
    pairs = zip(drawn, proposed, strict=False)
    wrong = [place for place, (a, b) in enumerate(pairs) if a != b]
    return [*drawn[: wrong[0] + 1]] if wrong else [*drawn]


# ---- 10.7: what a class felt ----

Answers = Sequence[dict[str, Any]]


def felt(answers: Answers, **changes: Any) -> dict[str, Any]:
    waits = [each["pieces_s"][0] - each["asked_s"] for each in answers]
    began = min(each["asked_s"] for each in answers)
    ended = max(each["pieces_s"][-1] for each in answers)
    found = {
        "first_p50_s": float(np.percentile(waits, 50)),
        "first_p95_s": float(np.percentile(waits, 95)),
        "tokens_per_s": sum(each["tokens"] for each in answers) / (ended - began),
    }
    return {**found, **changes}


def since_zero(answers: Answers) -> dict[str, Any]:
    moved = [{**each, "asked_s": 0.0} for each in answers]
    return {**felt(moved), "tokens_per_s": felt(answers)["tokens_per_s"]}


def to_the_end(answers: Answers) -> dict[str, Any]:
    moved = [{**each, "pieces_s": each["pieces_s"][-1:]} for each in answers]
    return felt(moved)


def mean_wait(answers: Answers) -> dict[str, Any]:
    waits = [each["pieces_s"][0] - each["asked_s"] for each in answers]
    return felt(answers, first_p50_s=statistics.mean(waits))


def added(answers: Answers) -> dict[str, Any]:
    took = sum(each["pieces_s"][-1] - each["asked_s"] for each in answers)
    return felt(answers, tokens_per_s=sum(x["tokens"] for x in answers) / took)


def in_answers(answers: Answers) -> dict[str, Any]:
    total = sum(each["tokens"] for each in answers)
    speed = felt(answers)["tokens_per_s"]
    return felt(answers, tokens_per_s=speed / total * len(answers))


def in_ms(answers: Answers) -> dict[str, Any]:
    found = felt(answers)
    return {
        **found,
        "first_p50_s": 1000 * found["first_p50_s"],
        "first_p95_s": 1000 * found["first_p95_s"],
    }


def felt_by_sorting(answers: Answers) -> dict[str, Any]:
    """Percentiles by hand."""
    waits = sorted(each["pieces_s"][0] - each["asked_s"] for each in answers)

    def at(share: float) -> float:
        place = share * (len(waits) - 1)
        low = int(place)
        high = min(low + 1, len(waits) - 1)
        return float(waits[low] + (place - low) * (waits[high] - waits[low]))

    return felt(answers, first_p50_s=at(0.5), first_p95_s=at(0.95))


WRONG_FELT = [
    Mutant("since the beginning", since_zero, "when the question was asked", 0.4),
    Mutant("to the last word", to_the_end, "last word, not for the first", 0.4),
    Mutant("a mean", mean_wait, "half of the class", 0.4),
    Mutant("times added", added, "not added", 0.6),
    Mutant("answers", in_answers, "not tokens", 0.6),
    Mutant("milliseconds", in_ms, earns=0.4),
    Mutant("untouched", lambda answers: dict.fromkeys(felt(answers)), earns=0),
]


EXERCISES = {
    "10.1": harness.Exercise(wrong=WRONG_GUESSES, right=[12, 0.5]),
    "10.2": harness.Exercise(
        wrong=WRONG_SHARES,
        right=[scheduler.share_budget, shares_in_two_rounds, shares_token_by_token],
    ),
    "10.3": harness.Exercise(
        wrong=WRONG_LENDING, right=[BlockPool.allocate, lend_one_by_one, lend_a_slice]
    ),
    "10.4": harness.Exercise(
        wrong=WRONG_GIVING,
        right=[BlockPool.free, give_in_two_rounds, give_from_the_end],
    ),
    "10.5": harness.Exercise(
        wrong=WRONG_FINDING,
        right=[BlockPool.longest_prefix, find_by_recursion, find_by_places],
    ),
    "10.6": harness.Exercise(
        wrong=WRONG_ACCEPT,
        right=[speculate.accept, accept_by_counting, accept_by_places],
    ),
    "10.7": harness.Exercise(wrong=WRONG_FELT, right=[felt, felt_by_sorting]),
}


@pytest.mark.parametrize(*harness.wrong(EXERCISES))
def test_a_likely_mistake_is_refused_with_its_cause(
    exercise: str, mutant: Mutant
) -> None:
    harness.refuse(exercise, mutant)


@pytest.mark.parametrize(*harness.right(EXERCISES))
def test_what_is_right_passes_however_it_is_written(exercise: str, answer: Any) -> None:
    harness.accept(exercise, answer)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_enough_mistakes_and_right_answers_are_tried(exercise: str) -> None:
    harness.has_enough(EXERCISES[exercise])


def test_every_exercise_of_the_lab_is_tried() -> None:
    from sparrow.checks import lab10

    assert set(EXERCISES) == set(lab10.CHECKS)


@pytest.mark.parametrize("exercise", BUILT)
def test_an_untouched_stub_earns_nothing_and_hears_what_to_do(exercise: str) -> None:
    harness.refuse_stub(exercise)


def test_no_message_shows_a_line_of_the_solution() -> None:
    pieces = ("min(", "popitem", "readers[", "move_to_end", "_find", "kept[", "sorted(")
    for exercise in BUILT:
        harness.keep_secret(exercise, EXERCISES[exercise], pieces)
