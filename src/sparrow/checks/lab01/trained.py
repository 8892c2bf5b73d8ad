"""Exercise 1.4: the most frequent pair gets a token, again and again."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch

from sparrow.checks import drivers
from sparrow.checks.lab01.drawn import drawn_text
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.text import bpe

__all__ = ["CHECKS"]

FREQUENT, TIES = "the most frequent pair", "pairs that are equally frequent"
END = "when to stop"
Pair = tuple[int, int]
Counts = Counter[Pair]
Learned = tuple[list[Plain], dict[str, Plain]]
NEST = "nest nests nesting best rest resting feather feather other other other the the"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Texts without ties, texts full of them, and texts that are used up."""

    def case(name: str, group: str, text: str, joins: int) -> Case:
        size = bpe.FIRST_BYTE + 256 + joins
        return Case(name, group, {"text": text, "vocab_size": size})

    found = [
        case("birds", FREQUENT, "cdd " * 9 + "dd " * 4 + "add " * 2, 3),
        case("one word often", FREQUENT, "eat " * 9 + "tea " * 5 + "at " * 3, 2),
        case("nest", TIES, NEST, 12),
        case("later letters first", TIES, "zy xw ba", 2),
        case("used up", END, "ab ab", 90),
        case("no room", END, "ab ab", 0),
        case("no text", END, "", 20),
    ]
    if hidden:
        for number in range(2):
            text = drawn_text(generator, 60, "etaoin")
            found.append(case(f"drawn {number}", TIES, text, 15))
            while not is_untied(text := drawn_text(generator, 80, "snrh"), 4):
                pass
            found.append(case(f"untied {number}", FREQUENT, text, 4))
        found.append(case("end", END, drawn_text(generator, 3, "uvw"), 200))
    return found


def is_untied(text: str, joins: int) -> bool:
    """Does no tie ever decide?"""
    size = bpe.FIRST_BYTE + 256 + joins
    return variant(text, size) == variant(text, size, choose=largest)


def expected(case: Case) -> Plain:
    """What the library learns."""
    return drivers.drive("learned", bpe.train, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same joins in the same order, and the bytes of every token."""
    assert isinstance(wanted, dict)
    if actual is None:
        return Verdict(False, _("The result is None: is a return missing?"))
    if not isinstance(actual, dict) or actual.keys() != wanted.keys():
        return Verdict(False, _("Return a Vocabulary, with merges and tokens."))
    if actual == wanted:
        return Verdict(True)
    got = (actual["joins"], actual["tokens"])
    text, size = case.inputs["text"], case.inputs["vocab_size"]
    for message, mistake in causes():
        wrong = mistake(text, size)
        if wrong == got and wrong != (wanted["joins"], wanted["tokens"]):
            return Verdict(False, message)
    return Verdict(False, in_general(wanted, actual))


def in_general(wanted: dict[str, Plain], actual: dict[str, Plain]) -> str:
    """Where the first difference lies."""
    right, joins = wanted["joins"], actual["joins"]
    assert isinstance(right, list)
    assert isinstance(joins, list)
    if joins == right:
        return _(
            "The joins are right, but not `tokens`: each id, old and new, has its "
            "bytes there."
        )
    if not joins:
        return _("There are no joins: put each pair and its new id into `merges`.")
    same = 0
    while same < min(len(right), len(joins)) and right[same] == joins[same]:
        same += 1
    if same == len(right):
        return _("There are {n} joins too many.", n=len(joins) - same)
    if same == len(joins):
        return _("{n} joins are missing at the end.", n=len(right) - same)
    first, ours = joins[same], right[same]
    if isinstance(first, list) and isinstance(ours, list) and first[:2] == ours[:2]:
        return _("Join {n} has the right pair, but another id.", n=same + 1)
    return _("Join {n} is another pair than it should be.", n=same + 1)


def smallest(counts: Counts) -> Pair:
    """The right choice."""
    return min(counts, key=lambda pair: (-counts[pair], pair))


def largest(counts: Counts) -> Pair:
    """Of equals, the one with the larger ids."""
    return max(counts, key=lambda pair: (counts[pair], pair))


def first_seen(counts: Counts) -> Pair:
    """Of equals, the one that was met first."""
    return max(counts, key=lambda pair: counts[pair])


def last_seen(counts: Counts) -> Pair:
    """Of equals, the one that was met last."""
    return first_seen(Counter(dict(reversed(counts.items()))))


def rarest(counts: Counts) -> Pair:
    """The rarest."""
    return min(counts, key=lambda pair: (counts[pair], pair))


def variant(
    text: Any,
    size: Any,
    *,
    choose: Callable[[Counts], Pair] = smallest,
    weighed: bool = True,
    across: bool = False,
    joins_more: int = 0,
    least: int = 1,
    recount: bool = True,
) -> Learned:
    """`bpe.train`, with one thing done otherwise."""
    tokens = bpe.alphabet()
    words: Sequence[tuple[int, ...]]
    data = text.encode("latin-1")
    words = [bpe.to_ids(word) for word in ([data] if across else bpe.split(data))]
    if not weighed:
        words = list(dict.fromkeys(words))
    merges: dict[Pair, int] = {}
    counts: Counts = Counter()
    while bpe.FIRST_BYTE + len(tokens) < size + joins_more:
        if recount or not merges:
            counts = bpe.count_pairs(Counter(words))
        counts = Counter({pair: n for pair, n in counts.items() if n >= least})
        if not counts:
            break
        pair = choose(counts)
        new = bpe.FIRST_BYTE + len(tokens)
        tokens[new] = tokens[pair[0]] + tokens[pair[1]]
        merges[pair] = new
        words = [bpe.join(word, pair, new) for word in words]
        if not recount:
            del counts[pair]
    return (
        [[*pair, new] for pair, new in merges.items()],
        {str(number): spelled.decode("latin-1") for number, spelled in tokens.items()},
    )


def causes() -> list[tuple[str, Callable[[Any, Any], Learned]]]:
    """What each likely mistake learns."""

    def of(**change: Any) -> Callable[[Any, Any], Learned]:
        return lambda text, size: variant(text, size, **change)

    return [
        (
            _("Of equally frequent pairs, this takes the one met first."),
            of(choose=first_seen),
        ),
        (
            _("Of equally frequent pairs, this takes the larger ids."),
            of(choose=largest),
        ),
        (
            _("Of equally frequent pairs, this takes the one met last."),
            of(choose=last_seen),
        ),
        (
            _("A frequent word must count as often as it occurs."),
            of(weighed=False),
        ),
        (_("A token reaches over two words."), of(across=True)),
        (_("This is one token too many."), of(joins_more=1)),
        (_("This is one token too few."), of(joins_more=-1)),
        (_("A pair that occurs once may be joined, too."), of(least=2)),
        (_("This joins the rarest pair."), of(choose=rarest)),
        (
            _("After a join there are other pairs: count again."),
            of(recount=False),
        ),
    ]


CHECKS = {
    "1.4": Check(
        exercise="1.4",
        solution="sparrow.text.bpe:train",
        groups={FREQUENT: 0.5, TIES: 0.3, END: 0.2},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="learned",
    )
}
