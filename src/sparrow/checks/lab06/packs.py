"""Exercise 6.5: no conversation is cut, and only the answers are learned."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from sparrow.checks.by_imitation import as_examples
from sparrow.checks.compare import compare_equal
from sparrow.checks.kinds import difference_in_kind
from sparrow.checks.protocol import Case, Check, Plain, Verdict, plain
from sparrow.data import packing
from sparrow.data.packing import IGNORED, Packed
from sparrow.language import _
from sparrow.train import examples
from sparrow.train.examples import Example

__all__ = ["CHECKS"]

WHOLE, LEARNED = "whole conversations", "what is learned"
PARTS = {WHOLE: ("tokens", "document", "positions"), LEARNED: ("targets",)}
END, USER, ASSISTANT = 0, 1, 2
MARKS = {"assistant": ASSISTANT, "end": END}


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Conversations that fit, that just fit, that leave room, that fill a row."""
    given: dict[str, tuple[list[tuple[int, int]], int]] = {
        "one conversation": ([(1, 2)], 10),
        "two that do not fit together": ([(1, 2), (1, 3)], 10),
        "three that fit": ([(0, 1), (1, 0), (0, 2)], 16),
        "two that fill a row to its end": ([(1, 1), (0, 1), (1, 2)], 11),
        "one token too many": ([(1, 1), (1, 1), (0, 1)], 11),
        "one that is as long as a row": ([(2, 3), (1, 1)], 9),
        "a long one between short ones": ([(0, 0), (4, 4), (0, 0), (0, 0)], 14),
    }
    if hidden:
        for name in ("drawn 1", "drawn 2", "drawn 3"):
            draw = torch.randint(0, 6, (7, 2), generator=generator).tolist()
            length = int(torch.randint(15, 24, (1,), generator=generator))
            given[name] = [(asked, said) for asked, said in draw], length
    found = []
    for name, (sizes, length) in given.items():
        told: list[Plain] = [_conversation(generator, *each) for each in sizes]
        inputs: dict[str, Plain] = {"examples": told, "length": length, **MARKS}
        found += [Case(name, group, inputs) for group in PARTS]
    return found


def _conversation(generator: torch.Generator, asked: int, said: int) -> Plain:
    """A prompt in the template, and an answer; of drawn words."""

    def words(count: int) -> list[int]:
        return torch.randint(5, 60, (count,), generator=generator).tolist()

    return {
        "prompt": [USER, *words(asked), END, ASSISTANT],
        "answer": list(words(said)),
    }


def expected(case: Case) -> Plain:
    """What the library makes."""
    return plain(_packed(case))


def _packed(case: Case) -> Packed:
    told, length = _given(case)
    return examples.pack_whole(told, length, **MARKS)


def _given(case: Case) -> tuple[list[Example], int]:
    told, length = case.inputs["examples"], case.inputs["length"]
    assert isinstance(told, list)
    assert isinstance(length, int)
    return as_examples(told), length


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The fields of this group; the others have a group too."""
    assert isinstance(wanted, dict)
    if not isinstance(actual, dict) or wanted.keys() - actual.keys():
        return Verdict(
            False,
            _("Return Packed(tokens, targets, positions, document), four tensors."),
        )
    names = PARTS[case.group]
    mistakes = {WHOLE: cuts(case), LEARNED: lessons(case)}[case.group]
    found = {name: actual[name] for name in names}
    for message, wrong in mistakes:
        made = plain(wrong)
        assert isinstance(made, dict)
        is_it = compare_equal(found, {name: made[name] for name in names}).passed
        is_right = compare_equal(
            {name: wanted[name] for name in names}, {name: made[name] for name in names}
        ).passed
        if is_it and not is_right:
            return Verdict(False, message)
    for name in names:
        if message := difference_in_kind(actual[name], wanted[name], name):
            return Verdict(False, message)
    return compare_equal(found, {name: wanted[name] for name in names})


Mistakes = list[tuple[str, Packed]]


def cuts(case: Case) -> Mistakes:
    """What each likely way to lay them out makes."""
    told, length = _given(case)

    def laid(fits: Callable[[int, int], bool], filling: tuple[int, ...] = ()) -> Packed:
        documents: list[tuple[int, ...]] = []
        left = length
        for each in told:
            if not fits(len(each), left):
                documents += [filling] * left if not filling else [filling * left]
                left = length
            documents.append((*each.prompt, *each.answer))
            left = (left - len(each)) % length or length
        return packing.pack(documents, length, END)

    def one_each() -> Packed:
        documents: list[tuple[int, ...]] = []
        for each in told:
            documents.append((*each.prompt, *each.answer))
            documents += [()] * (length - len(each))
        return packing.pack(documents, length, END)

    one_token_less = laid(lambda size, left: size < left or size == length)
    return [
        (
            _("A conversation is cut: fill the row up before it."),
            packing.pack([(*each.prompt, *each.answer) for each in told], length, END),
        ),
        (_("Each has a row of its own: let several share one."), one_each()),
        (
            _("One that fills a row to its last place fits, too."),
            one_token_less,
        ),
        (
            _("The end token has no place: the length of an example counts it."),
            laid(lambda size, left: size - 1 <= left),
        ),
    ]


def lessons(case: Case) -> Mistakes:
    """What each likely choice of targets makes."""
    length = _given(case)[1]
    right = _packed(case)
    whole = packing.pack(documents_of(right), length, END)
    mask = examples.answer_mask(right.tokens, **MARKS)

    def kept(where: Tensor, targets: Tensor = whole.targets) -> Packed:
        return replace(right, targets=targets.where(where, IGNORED))

    ahead = torch.zeros_like(mask)
    ahead[:, :-1] = mask[:, 1:]
    ends = right.tokens.roll(-1, 1) == END
    return [
        (_("The questions are learned, too."), kept(whole.targets != IGNORED)),
        (
            _("It is one place late: the first word of an answer is not learned."),
            kept(mask),
        ),
        (
            _("Only the questions are learned."),
            kept(~ahead),
        ),
        (
            _("The end of an answer has to be learned, too."),
            kept(ahead & ~ends),
        ),
        (
            _("Where nothing is to be learned, the target is IGNORED."),
            replace(right, targets=whole.targets.where(ahead, 0)),
        ),
        (
            _("Each token is its own target: take the one after it."),
            kept(mask, right.tokens),
        ),
        (_("Nothing is learned."), kept(torch.zeros_like(mask))),
    ]


def documents_of(packed: Packed) -> list[list[int]]:
    """The documents of rows that cut none, filling included, without their ends."""
    tokens, numbers = packed.tokens.flatten(), packed.document.flatten()
    sizes = numbers.unique_consecutive(return_counts=True)[1].tolist()
    return [each.tolist()[:-1] for each in tokens.split(sizes)]


CHECKS = {
    "6.5": Check(
        exercise="6.5",
        solution="sparrow.train.examples:pack_whole",
        groups={WHOLE: 0.5, LEARNED: 0.5},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="imitated",
    )
}
