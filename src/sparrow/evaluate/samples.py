"""What models of the kit really wrote, sixteen times a question: to measure on.

    python -m sparrow.evaluate.samples

asks each model again whose answers are shipped, and writes the file. A text is kept
as it was written; whether it is right is decided anew when it is read.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import click

from sparrow import runtime
from sparrow.data import countdown, puzzles
from sparrow.errors import UsageError
from sparrow.evaluate.run import ask
from sparrow.language import _
from sparrow.model import Sparrow, named
from sparrow.text import Tokenizer
from sparrow.verify import Countdown, Form, Problem, Score, score
from sparrow.verify.gym import GymProblem

__all__ = ["Samples", "examination", "main", "record", "shipped"]

FILE = "samples.jsonl"
PROBLEMS, SAMPLES, LONGEST = 200, 16, 96
SEED = 5
# model, family of problems, how it is asked
SHIPPED: tuple[tuple[str, str, Form], ...] = (
    ("pico-base", "puzzles", "line"),
    ("pico-base", "countdown", "line"),
    ("pico-cold-start", "countdown", "tags"),
)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """n texts for each of Q problems, as one model wrote them."""

    model: str
    family: str
    form: Form
    temperature: float
    problems: tuple[Problem, ...]
    texts: list[list[str]]  # [Q, n]
    tokens: list[list[int]]
    confidence: list[list[float]]  # mean logarithm of the chance of a token

    @cached_property
    def scores(self) -> list[list[Score]]:
        """What the verifier says of each text, [Q, n]."""
        return [
            [score(problem, text, form=self.form) for text in row]
            for problem, row in zip(self.problems, self.texts, strict=True)
        ]

    @cached_property
    def correct(self) -> list[list[bool]]:
        """Whether each text is right, [Q, n]."""
        return [[each.correctness == 1 for each in row] for row in self.scores]

    @cached_property
    def answers(self) -> list[list[str | None]]:
        """What each text answers, or None, [Q, n]."""
        return [[each.answer for each in row] for row in self.scores]


def examination(family: str, count: int = PROBLEMS) -> list[Problem]:
    """The problems of a family that are asked: no training ever met them.

    Raises:
        UsageError: there is no such family.
    """
    draw = runtime.generator(SEED)
    if family == "countdown":
        return list(
            countdown.problems(draw, count, numbers=3, largest=12, held_out=True)
        )
    if family != "puzzles":
        raise UsageError(
            _("family must be countdown or puzzles; got {got}.", got=family)
        )
    found = []
    for line in puzzles.lines(draw, 4 * count, held_out=True):
        question, _colon, answer = line.partition(": ")
        kind = question.split()[0]
        if kind != "numbers":  # it has many right answers; countdown asks it
            found.append(GymProblem(kind, question, (answer,)))
    return list(found[:count])


def record(
    model: str,
    family: str,
    form: Form,
    *,
    temperature: float = 1.0,
    count: int = PROBLEMS,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> Samples:
    """Ask a model that travels with the package."""
    folder = named.folder_of(model)
    found = ask(
        Sparrow.from_pretrained(folder).eval(),
        Tokenizer(folder),
        problems := examination(family, count),
        samples=samples,
        temperature=temperature,
        max_new_tokens=LONGEST,
        form=form,
        generator=runtime.generator(seed),
    )
    return Samples(
        model=model,
        family=family,
        form=form,
        temperature=temperature,
        problems=tuple(problems),
        texts=[list(row) for row in found.texts],
        tokens=[[len(each.tokens) for each in row] for row in found.completions],
        confidence=[
            [round(sum(each.logprobs) / max(1, len(each.logprobs)), 3) for each in row]
            for row in found.completions
        ],
    )


def shipped(model: str, family: str) -> Samples:
    """The samples that come with the library.

    Raises:
        UsageError: there are none of this model on this family.
    """
    text = resources.files("sparrow.evaluate").joinpath(FILE).read_text("utf-8")
    head: dict[str, Any] | None = None
    rows: list[dict[str, Any]] = []
    for line in map(json.loads, text.splitlines()):
        if "model" in line:
            if head is not None:
                break
            if (line["model"], line["family"]) == (model, family):
                head = line
        elif head is not None:
            rows.append(line)
    if head is None:
        raise UsageError(
            _(
                "no samples of {model} on {family} come with the library.",
                model=model,
                family=family,
            )
        )
    return Samples(
        model=model,
        family=family,
        form=head["form"],
        temperature=head["temperature"],
        problems=tuple(_problem(each["problem"]) for each in rows),
        texts=[each["texts"] for each in rows],
        tokens=[each["tokens"] for each in rows],
        confidence=[each["confidence"] for each in rows],
    )


def lines_of(samples: Samples) -> Iterable[str]:
    """One line that says who wrote, then one line a problem."""
    yield json.dumps(
        {
            "model": samples.model,
            "family": samples.family,
            "form": samples.form,
            "temperature": samples.temperature,
        }
    )
    rows = zip(
        samples.problems,
        samples.texts,
        samples.tokens,
        samples.confidence,
        strict=True,
    )
    for problem, texts, tokens, confidence in rows:
        told = {
            "problem": _told(problem),
            "texts": texts,
            "tokens": tokens,
            "confidence": confidence,
        }
        yield json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _told(problem: Problem) -> dict[str, object]:
    if isinstance(problem, Countdown):
        return {"numbers": problem.numbers, "target": problem.target}
    assert isinstance(problem, GymProblem)
    return {
        "family": problem.family,
        "question": problem.question,
        "answers": problem.answers,
    }


def _problem(told: dict[str, Any]) -> Problem:
    if "target" in told:
        return Countdown(tuple(told["numbers"]), told["target"])
    return GymProblem(told["family"], told["question"], tuple(told["answers"]))


@click.command()
@click.option("--file", "path", default=FILE, type=click.Path(path_type=Path))
def main(path: Path) -> None:
    """Ask every model again whose answers are shipped; minutes on two cores."""
    lines: list[str] = []
    for model, family, form in SHIPPED:
        found = record(model, family, form)
        lines += lines_of(found)
        share = _share(found.correct)
        click.echo(
            _(
                "{model} on {family}: {share} of the answers are right.",
                model=model,
                family=family,
                share=f"{share:.1%}",
            ),
            err=True,
        )
    with runtime.atomic_write(path) as file:
        file.write("\n".join([*lines, ""]).encode())


def _share(correct: Sequence[Sequence[bool]]) -> float:
    flat = [each for row in correct for each in row]
    return sum(flat) / len(flat)


if __name__ == "__main__":
    main()
