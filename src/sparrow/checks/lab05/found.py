"""Exercise 5.2: one answer in its place, or none; a hostile text gets no answer."""

import re
from collections.abc import Callable

import torch

from sparrow.checks import drivers
from sparrow.checks.compare import compare_equal
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _

__all__ = ["CHECKS"]

HONEST, TWO = "honest answers", "more than one answer"
PLACE, AS_IT_IS = "an answer at the wrong place", "the answer stays as it is"
END = "<|end|>"

TEXTS = {
    HONEST: [
        "<think>3*7=21,21+8=29</think><answer>(3*7)+8</answer>",
        "3*7=21,21+8=29</think>\n<answer> 3*7+8 </answer>\n",
        f"<think></think><answer>3*7+8</answer>{END}",
        "<think>a\nb\n\nc</think>\n\n<answer>8</answer>  ",
    ],
    TWO: [
        "<think>x</think><answer>(3*7)+8</answer><answer>29</answer>",
        "<think>x</think><answer>1<answer>(3*7)+8</answer></answer>",
        "<think>x</think>y</think><answer>(3*7)+8</answer>",
        "<think><answer>1</answer></think><answer>(3*7)+8</answer>",
        "<think>x</think><answer>1</answer>2</answer>",
        "<think>x</think><answer>8</think></answer>",
    ],
    PLACE: [
        "",
        "(3*7)+8",
        "<answer>(3*7)+8</answer>",
        "<think>x</think>(3*7)+8",
        "<think>x</think><answer>(3*7)+8",
        "<think>x</think></answer>(3*7)+8<answer>",
        "<think>x</think>I say <answer>(3*7)+8</answer>",
        "<think>x</think><answer>(3*7)+8</answer> for sure",
        "<answer>(3*7)+8</answer><think>x</think>",
        "well <think>x</think><answer>(3*7)+8</answer>",
        "<think>x<think>y</think><answer>(3*7)+8</answer>",
    ],
    AS_IT_IS: [
        "<think>x</think><answer>٣*٧+٨</answer>",
        "<think>x</think><answer>9**9**9</answer>",
        "<think>x</think><answer>numbers 3 7 8 target 29</answer>",
        "<think>x</think><answer>((((3))))*7+8</answer>",
        "<think>x</think><answer></answer>",
        "<think>x</think><answer>3 * 7\n+ 8</answer>",
        "<think>x</think><answer>__import__('os')</answer>",
    ],
}


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Every way to be honest, and to cheat, that we know."""
    found = [
        Case(f"{group} {place}", group, {"completion": text})
        for group, texts in TEXTS.items()
        for place, text in enumerate(texts)
    ]
    if hidden:
        for place in range(4):
            a, b = torch.randint(10, 100, (2,), generator=generator).tolist()
            thought, said = f"<think>{a}-{b}</think>", f"<answer>{a}+{b}</answer>"
            drawn = {
                HONEST: f"{thought}\n{said}",
                TWO: f"{thought}{said}\n{said}",
                PLACE: (f"{said}{thought}", f"{thought} so {said}", said, thought)[
                    place
                ],
                AS_IT_IS: f"{thought}<answer>\t{a}  {b}\u00b2 </answer>",
            }
            found += [
                Case(f"drawn {place} {group}", group, {"completion": text})
                for group, text in drawn.items()
            ]
    return found


def expected(case: Case) -> Plain:
    """What the library finds."""
    # `score` is a function and a module of the package: ask for the module.
    from importlib import import_module

    module = import_module("sparrow.verify.score")
    return drivers.drive("answer_found", module.find_answer, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same answer; and a reason where there is none."""
    assert isinstance(wanted, dict)
    if not isinstance(actual, dict):
        return Verdict(
            False, _("Return two things: the answer or None, and what is wrong.")
        )
    right, got = wanted["answer"], actual["answer"]
    if got == right:
        if right is None and not actual["says"]:
            return Verdict(False, _("Where there is no answer, say what is wrong."))
        return Verdict(True)
    for message, mistake in causes():
        if got is not None and got == mistake(str(case.inputs["completion"])):
            return Verdict(False, message)
    if case.group == TWO:
        return Verdict(
            False, _("It accepts a text with two answers, or a tag that comes twice.")
        )
    if case.group == PLACE:
        return Verdict(
            False, _("It accepts an answer that does not stand where it should.")
        )
    if got is None:
        return Verdict(False, _("It finds no answer where there is one."))
    return compare_equal(got, right)


def causes() -> list[tuple[str, Callable[[str], str | None]]]:
    """What each likely mistake finds."""

    def first(text: str) -> str | None:
        hit = re.search(r"<answer>(.*?)</answer>", text, re.DOTALL)
        return hit[1].strip() if hit else None

    def last(text: str) -> str | None:
        hits = re.findall(r"<answer>(.*?)</answer>", text, re.DOTALL)
        return str(hits[-1]).strip() if len(hits) > 1 else None

    def with_tags(text: str) -> str | None:
        hit = re.search(r"<answer>.*</answer>", text, re.DOTALL)
        return hit[0] if hit else None

    def unstripped(text: str) -> str | None:
        hit = re.search(r"<answer>(.*)</answer>", text, re.DOTALL)
        return hit[1] if hit and hit[1] != hit[1].strip() else None

    return [
        (_("The tags are no part of the answer."), with_tags),
        (_("Spaces around the answer are no part of it."), unstripped),
        (_("It takes the last of several answers: a text may offer only one."), last),
        (
            _(
                "It takes the first answer that it sees, wherever it stands: there "
                "must be exactly one, right after the thought."
            ),
            first,
        ),
    ]


CHECKS = {
    "5.2": Check(
        exercise="5.2",
        solution="sparrow.verify.score:find_answer",
        groups={HONEST: 0.25, TWO: 0.25, PLACE: 0.3, AS_IT_IS: 0.2},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="answer_found",
    )
}
