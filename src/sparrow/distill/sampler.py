"""Rejection sampling: ask a teacher often, keep what is right and no test's."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch

from sparrow.data import countdown
from sparrow.errors import TeacherError
from sparrow.evaluate.run import Answers, ask
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.runtime import atomic_write
from sparrow.text import Tokenizer
from sparrow.verify import Problem

__all__ = ["Lesson", "collect", "decontaminated", "is_leak", "keep_right", "kept_at"]

Lesson = tuple[str, str]  # a question and an answer worth imitating
AT_ONCE = 64  # problems asked together


def keep_right(answers: Answers, most: int) -> list[Lesson]:
    """The right answers, at most `most` a problem, none of them twice.

    The first ones are kept: the teacher wrote them in any order.

    Args:
        answers: what a teacher wrote, several times for each problem.
        most: how many to keep of each.

    Source: arXiv:2501.12948, section 2.3.3.
    """
    kept: list[Lesson] = []
    for problem, texts, scores in zip(
        answers.problems, answers.texts, answers.scores, strict=True
    ):
        # 1. Only what the rule calls right.
        right = [
            text for text, score in zip(texts, scores, strict=True) if score.reward == 1
        ]
        # 2. Each text once, in the order in which they came.
        different = list(dict.fromkeys(right))
        # 3. Not too many of an easy problem, or easy ones would crowd out the rest.
        kept += [(problem.question, text) for text in different[:most]]
    return kept


def decontaminated(
    lessons: Iterable[Lesson], is_for_tests: Callable[[str], bool]
) -> list[Lesson]:
    """The lessons whose question is not one of the tests'.

    Args:
        lessons: questions with answers.
        is_for_tests: whether a question is held out, however it is written.
    """
    # 1. Keep a lesson only if its question is nobody's test.
    return [each for each in lessons if not is_for_tests(each[0])]


def is_leak(question: str) -> bool:
    """Whether a Countdown question is held out, whatever the order of its numbers."""
    words = question.split()
    if words[:1] != ["numbers"] or "target" not in words:
        return False
    place = words.index("target")
    numbers, target = words[1:place], words[place + 1 : place + 2]
    if not target or not all(each.isdigit() for each in [*numbers, *target]):
        return False
    return countdown.is_held_out([int(each) for each in numbers], int(target[0]))


def collect(
    teacher: Sparrow,
    tokenizer: Tokenizer,
    problems: Sequence[Problem],
    *,
    samples: int,
    most: int,
    temperature: float,
    max_new_tokens: int,
    generator: torch.Generator,
    say: Callable[[str], None] = lambda _sentence: None,
) -> list[Lesson]:
    """Ask a teacher every problem, and keep what is right and no test's.

    Raises:
        TeacherError: it never answered right.
    """
    found: list[Lesson] = []
    right = 0.0
    for first in range(0, len(problems), AT_ONCE):
        part = problems[first : first + AT_ONCE]
        answers = ask(
            teacher,
            tokenizer,
            part,
            samples=samples,
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            generator=generator,
        )
        right += float(answers.rewards.sum())
        found += keep_right(answers, most)
        asked = first + len(part)
        if asked == len(problems) or (first // AT_ONCE) % 10 == 9:
            say(
                _(
                    "Asked {asked} of {all} problems: {share:.0%} of the answers were "
                    "right, {kept} are kept.",
                    asked=asked,
                    all=len(problems),
                    share=right / (asked * samples),
                    kept=len(found),
                )
            )
    if not found:
        raise TeacherError(
            _(
                "the teacher answered none of {n} problems right: take a better "
                "teacher or easier problems.",
                n=len(problems),
            )
        )
    return decontaminated(found, is_leak)


def kept_at(path: Path, make: Callable[[], list[Lesson]]) -> list[Lesson]:
    """Lessons that were written before, or new ones, which are then kept.

    The file is whole or not there, so a run that goes on learns from the same ones.
    """
    if path.is_file():
        lines = path.read_text("utf-8").splitlines()
        return [(told["question"], told["answer"]) for told in map(json.loads, lines)]
    lessons = make()
    with atomic_write(path) as file:
        for question, answer in lessons:
            told = {"question": question, "answer": answer}
            file.write(json.dumps(told).encode() + b"\n")
    return lessons
