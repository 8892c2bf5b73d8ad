"""Rejection sampling: ask a teacher often, keep what is right and no test's."""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
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

__all__ = [
    "Lesson",
    "Taught",
    "collect",
    "decontaminated",
    "is_leak",
    "keep_right",
    "kept_at",
]

LESSONS = "lessons.jsonl"  # in the folder of a run
Lesson = tuple[str, str]  # a question and an answer worth imitating
AT_ONCE = 64  # problems asked together


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What a teacher gave, and what it took to get it."""

    lessons: tuple[Lesson, ...]
    answers: int  # that it wrote
    right: int
    tokens: int  # of all answers, the wrong ones too
    seconds: float


def keep_right(answers: Answers, most: int) -> list[Lesson]:
    """The right answers, at most `most` a problem, none of them twice.

    The first ones are kept: the teacher wrote them in any order.

    Args:
        answers: what a teacher wrote, several times for each problem.
        most: how many to keep of each.

    Source: arXiv:2501.12948, section 2.3.3.
    """
    kept: list[Lesson] = []
    # 1. One problem after the other, with its texts and their scores.
    for problem, texts, scores in zip(
        answers.problems, answers.texts, answers.scores, strict=True
    ):
        # 2. Only what the rule calls right.
        right = [
            text for text, score in zip(texts, scores, strict=True) if score.reward == 1
        ]
        # 3. Each text once, in the order in which they came.
        different = list(dict.fromkeys(right))
        # 4. Not too many of an easy problem, or easy ones would crowd out the rest.
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
    # 1. The numbers stand between two words, and the target after the second.
    words = question.split()
    if words[:1] != ["numbers"] or "target" not in words:
        return False
    place = words.index("target")
    numbers, target = words[1:place], words[place + 1 : place + 2]
    # 2. What lacks numbers or a target is nobody's test.
    given = [*numbers, *target]
    if not numbers or not target or not all(each.isdecimal() for each in given):
        return False
    # 3. The split knows a problem in any order: ask it.
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
    watch: Callable[[int], None] = lambda _asked: None,
) -> Taught:
    """Ask a teacher every problem, and keep what is right and no test's.

    Args:
        teacher: who answers; `tokenizer` is its own.
        problems: what to ask, each `samples` times.
        most: right answers to keep of each problem.
        temperature: how boldly it answers.
        max_new_tokens: the longest answer.
        generator: draws the answers.
        say: is told a sentence now and then.
        watch: is told how many problems were asked so far.

    Raises:
        TeacherError: it never answered right.
    """
    found: list[Lesson] = []
    right = tokens = 0
    started_s = time.perf_counter()
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
        right += int((answers.rewards == 1).sum())
        tokens += int(answers.lengths.sum())
        found += keep_right(answers, most)
        asked = first + len(part)
        watch(asked)
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
    return Taught(
        lessons=tuple(decontaminated(found, is_leak)),
        answers=len(problems) * samples,
        right=right,
        tokens=tokens,
        seconds=round(time.perf_counter() - started_s, 1),
    )


def kept_at(path: Path, make: Callable[[], Taught]) -> Taught:
    """Lessons that were written before, or new ones, which are then kept.

    The file is whole or not there, so a run that goes on learns from the same ones.
    """
    if path.is_file():
        figures, *lines = map(json.loads, path.read_text("utf-8").splitlines())
        lessons = tuple((told["question"], told["answer"]) for told in lines)
        return Taught(lessons=lessons, **figures)
    taught = make()
    figures = asdict(taught)
    figures.pop("lessons")
    with atomic_write(path) as file:
        file.write(json.dumps(figures).encode() + b"\n")
        for question, answer in taught.lessons:
            told = {"question": question, "answer": answer}
            file.write(json.dumps(told).encode() + b"\n")
    return taught
