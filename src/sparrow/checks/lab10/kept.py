"""Exercise 10.6: which guesses come true."""

import torch

from sparrow.checks.lab10.budget import some
from sparrow.checks.lab10.exact import compare_exact
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.serve import speculate

__all__ = ["CHECKS"]

TRUE, WRONG, NONE = "guesses that come true", "a wrong guess", "no guess"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """All come true, one does not, one comes true by chance behind a wrong one."""

    def case(name: str, group: str, drawn: list[int], proposed: list[int]) -> Case:
        return Case(name, group, {"drawn": list(drawn), "proposed": list(proposed)})

    found = [
        case("all three", TRUE, [4, 7, 2, 9], [4, 7, 2]),
        case("one", TRUE, [5, 8], [5]),
        case("the last is wrong", WRONG, [4, 7, 2, 9], [4, 7, 3]),
        case("the first is wrong", WRONG, [4, 7, 2], [5, 7]),
        case("right again behind a wrong one", WRONG, [4, 7, 2, 9], [4, 6, 2]),
        case("a right guess too late", WRONG, [4, 7, 2, 9], [4, 6, 7]),
        case("nothing was proposed", NONE, [6], []),
    ]
    if hidden:
        for place in range(3):
            drawn = [some(generator, 0, 40) for _place in range(5)]
            proposed = drawn[:-1]
            group = TRUE
            if place:
                wrong = some(generator, 0, 3)
                proposed = [*proposed[:wrong], 41, *proposed[wrong + 1 :]]
                group = WRONG
            found.append(case(f"drawn {place + 1}", group, drawn, proposed))
        found.append(case("drawn 4", NONE, [some(generator, 0, 40)], []))
    return found


def expected(case: Case) -> Plain:
    """The library's choice."""
    return speculate.accept(**case.inputs)  # type: ignore[arg-type,return-value]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same tokens."""
    drawn, proposed = case.inputs["drawn"], case.inputs["proposed"]
    assert isinstance(drawn, list)
    assert isinstance(proposed, list)
    assert isinstance(wanted, list)
    right = len(wanted) - 1  # guesses that came true
    matching = [
        token for token, guess in zip(drawn, proposed, strict=False) if token == guess
    ]
    late = [drawn[0]]  # whoever goes on behind a wrong guess
    for guess, token in zip(proposed, drawn[1:], strict=False):
        late += [token] if guess == late[-1] else []
    mistakes = [
        (late, _("Stop at the first wrong guess: what comes behind it is lost.")),
        (drawn, _("A draw behind a wrong guess stands behind a text nobody wrote.")),
        (proposed, _("Guesses are not believed: the model's own draws are written.")),
        (
            proposed[:right],
            _("The model's draw behind the last true guess counts, too."),
        ),
        (
            [*matching, drawn[-1]],
            _("Stop at the first wrong guess: what comes behind it is lost."),
        ),
        (drawn[:1], _("A guess that came true saves a pass: keep it.")),
        (
            [*proposed[: right + 1], *drawn[right + 1 : right + 2]],
            _("In place of a wrong guess stands what the model drew there."),
        ),
        (drawn[1:], _("The first draw stands behind true tokens: it always counts.")),
        ([], _("The first draw stands behind true tokens: it always counts.")),
    ]
    return compare_exact(wanted, actual, mistakes)


CHECKS = {
    "10.6": Check(
        exercise="10.6",
        solution="sparrow.serve.speculate:accept",
        groups={TRUE: 0.35, WRONG: 0.45, NONE: 0.2},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
