"""Exercise 6.3: which tokens the assistant wrote."""

from collections.abc import Callable

import torch
from torch import Tensor

from sparrow.checks.compare import compare_equal
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.train import examples

__all__ = ["CHECKS"]

ONE, SEVERAL, ROWS = "one answer", "several answers in a row", "several rows"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """One turn each, several turns, filling, rows that must not know of each other."""
    end, user, mark = 0, 1, 2
    answered = [user, 7, 8, end, mark, 5, 6, end]
    given: list[tuple[str, str, list[list[int]], int, int]] = [
        ("a question and its answer", ONE, [answered], mark, end),
        ("a question alone", ONE, [[user, 7, end]], mark, end),
        ("an empty answer", ONE, [[user, 7, end, mark, end]], mark, end),
        ("an answer, then filling", ONE, [[*answered, end, end]], mark, end),
        ("two conversations", SEVERAL, [[*answered, *answered]], mark, end),
        ("two rounds", SEVERAL, [[*answered, user, end, mark, 9, end]], mark, end),
        ("other marks", SEVERAL, [[1, 0, 9, 3, 2, 9, 1, 2, 9, 3, 4, 9]], 3, 9),
        (
            "an answer that has no end",
            ROWS,
            [[user, end, mark, 5], [user, 7, 7, end], [mark, 6, end, 6]],
            mark,
            end,
        ),
        ("as many rows as places", ROWS, [[mark, end], [end, mark]], mark, end),
    ]
    if hidden:
        for name, group, rows in (
            ("drawn 1", ONE, 1),
            ("drawn 2", SEVERAL, 1),
            ("drawn 3", ROWS, 4),
        ):
            turns = 1 if group == ONE else 4
            drawn = [talk(generator, turns) for _row in range(rows)]
            width = max(map(len, drawn))
            filled = [row + [6] * (width - len(row)) for row in drawn]
            given.append((name, group, filled, 8, 6))
    return [
        Case(
            name,
            group,
            {"tokens": torch.tensor(rows), "assistant": assistant, "end": close},
        )
        for name, group, rows, assistant, close in given
    ]


def talk(generator: torch.Generator, rounds: int) -> list[int]:
    """Questions and answers of drawn lengths; 7 asks, 8 answers, 6 ends."""
    row = []
    for _round in range(rounds):
        for speaker in (7, 8):
            size = int(torch.randint(0, 4, (1,), generator=generator))
            words = torch.randint(10, 20, (size,), generator=generator).tolist()
            row += [speaker, *words, 6]
    return row


def expected(case: Case) -> Plain:
    """What the library finds."""
    return examples.answer_mask(**case.inputs)  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """Exactly the same places."""
    if isinstance(actual, Tensor) and actual.dtype != torch.bool:
        return Verdict(False, _("The mask is made of True and False, not of numbers."))
    return compare_equal(actual, wanted, causes=causes(), inputs=case.inputs)


Mask = Callable[[Tensor, int, int], Tensor]


def walked(
    *, own_mark: bool = False, own_end: bool = True, closes: bool = True
) -> Mask:
    """The walk along each row, with one rule changed."""

    def wrong(tokens: Tensor, assistant: int, end: int) -> Tensor:
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        for row, line in enumerate(tokens.tolist()):
            speaks = False
            for place, token in enumerate(line):
                mask[row, place] = speaks and (own_end or token != end)
                if token == assistant:
                    speaks, mask[row, place] = True, speaks or own_mark
                elif token == end and closes:
                    speaks = False
        return mask

    return wrong


def causes() -> list[tuple[str, Mask]]:
    """What each likely mistake finds."""
    right = walked()

    def over_rows(tokens: Tensor, assistant: int, end: int) -> Tensor:
        return right(tokens.view(1, -1), assistant, end).view(tokens.shape)

    def first_answer_only(tokens: Tensor, assistant: int, end: int) -> Tensor:
        mask = right(tokens, assistant, end)
        begins = (tokens == assistant).cumsum(dim=1)
        return mask & (begins <= 1)

    return [
        (
            _("Everything after the first answer counts, questions too: who speaks?"),
            walked(closes=False),
        ),
        (
            _("The mark itself is not the assistant's: the template writes it."),
            walked(own_mark=True),
        ),
        (
            _("The assistant writes its end token, too: else it never learns to stop."),
            walked(own_end=False),
        ),
        (
            _("The mark is taken, and the end token is not: it is the other way."),
            walked(own_mark=True, own_end=False),
        ),
        (
            _("It is turned round: True is for what the assistant wrote."),
            lambda tokens, assistant, end: ~right(tokens, assistant, end),
        ),
        (
            _("An answer of one row goes on in the next: each row begins anew."),
            over_rows,
        ),
        (_("Only the first answer of a row is found."), first_answer_only),
        (
            _("Nothing is learned: no place is True."),
            lambda tokens, **_marks: torch.zeros_like(tokens, dtype=torch.bool),
        ),
        (
            _("All is learned: every place is True."),
            lambda tokens, **_marks: torch.ones_like(tokens, dtype=torch.bool),
        ),
        (
            _("It is one place too early: is this where the token is predicted?"),
            lambda tokens, assistant, end: right(tokens, assistant, end).roll(-1, 1),
        ),
    ]


CHECKS = {
    "6.3": Check(
        exercise="6.3",
        solution="sparrow.train.examples:answer_mask",
        groups={ONE: 0.4, SEVERAL: 0.4, ROWS: 0.2},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
