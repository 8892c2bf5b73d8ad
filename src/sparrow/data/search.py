"""A search written down: try, look at what came out, try another way, say the answer.

    <think>3+7=10,10*8=80>29
    3*7=21,21+8=29=29</think><answer>(3*7)+8</answer>

Each line is a try: a chain of steps that uses every number, and a look at the target.
A line that misses it is given up, and the next one begins again: a backtrack. This is
what the cold start imitates, and what reinforcement learning then changes as it likes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from sparrow.verify import Countdown

__all__ = ["Step", "Try", "moves", "random_result", "trace", "tries_of", "write"]

LIMIT = 999  # no step makes more
GOES_ON = 0.22  # how often somebody without patience tries once more
LOOK = re.compile(r"(=[0-9]+)[<=>][0-9]+$")  # at the end of a try


class Step(NamedTuple):
    """One operation: two numbers, and what they make."""

    left: int
    operator: str
    right: int
    made: int

    def __str__(self) -> str:
        return f"{self.left}{self.operator}{self.right}={self.made}"


@dataclass(frozen=True)
class Try:
    """A chain of steps that uses up all numbers."""

    steps: tuple[Step, ...]

    @property
    def reached(self) -> int:
        """What the last step makes."""
        return self.steps[-1].made

    def __str__(self) -> str:
        return ",".join(map(str, self.steps))

    def line(self, target: int) -> str:
        """The try as it is thought: its steps, and whether it is too large or small."""
        missed = "<" if self.reached < target else ">"
        return f"{self}{'=' if self.reached == target else missed}{target}"

    @property
    def expression(self) -> str:
        """The same as one expression: `(3*7)+8`."""
        texts: dict[int, list[str]] = {}
        text = ""
        for left, operator, right, made in self.steps:
            parts = [
                texts[number].pop() if texts.get(number) else str(number)
                for number in (left, right)
            ]
            text = f"{parts[0]}{operator}{parts[1]}"
            texts.setdefault(made, []).append(f"({text})")
        return text


def moves(numbers: Sequence[int]) -> list[tuple[Step, list[int]]]:
    """Every step that two of these numbers allow, and the numbers after it.

    Results are whole, above zero and at most 999: a zero never helps. The larger
    number stands first where the order makes no difference.
    """
    found = {}
    for i, first in enumerate(numbers):
        for second in numbers[i + 1 :]:
            left, right = max(first, second), min(first, second)
            rest = list(numbers)
            rest.remove(left)
            rest.remove(right)
            made = {"+": left + right, "-": left - right, "*": left * right}
            if left % right == 0:
                made["/"] = left // right
            for operator, result in made.items():
                if 0 < result <= LIMIT:
                    step = Step(left, operator, right, result)
                    found[step] = [*rest, result]
    return list(found.items())


def random_result(numbers: Sequence[int], generator: torch.Generator) -> int:
    """What a random chain of steps makes of all numbers; 0 if it gets stuck."""
    left = list(numbers)
    while len(left) > 1:
        ways = moves(left)
        if not ways:
            return 0
        _step, left = ways[_draw(len(ways), generator)]
    return left[0]


def trace(problem: Countdown, generator: torch.Generator, *, patience: float) -> str:
    """How people search: some to the end, most until they have had enough.

    The ways to begin stand in a fixed order, large numbers first. A person begins with
    any of them, goes on with the next one, and ends each try as near to the target as
    one step can. Few are patient: the others give up after most tries that miss, and
    answer with that.

    Args:
        problem: what is asked.
        generator: decides where to begin, who is patient, and when to give up.
        patience: the share of people who search to the end.
    """
    is_patient = float(torch.rand((), generator=generator)) < patience
    begun = moves(sorted(problem.numbers, reverse=True))
    first = _draw(len(begun), generator)
    chances = torch.rand(len(begun), generator=generator).tolist()
    tries: list[Try] = []
    for place, chance in enumerate(chances, start=first):
        step, left = begun[place % len(begun)]
        found = _finish([step], left, problem.target, generator)
        if found is None:
            continue
        tries.append(found)
        goes_on = is_patient or chance < GOES_ON
        if found.reached == problem.target or not goes_on:
            break
    return write(tries, problem.target)


def _finish(
    steps: list[Step], left: list[int], target: int, generator: torch.Generator
) -> Try | None:
    """Go on at random, and take the last step towards the target; None: stuck."""
    while len(left) > 1:
        ways = moves(left)
        if not ways:
            return None
        if len(left) > 2:
            step, left = ways[_draw(len(ways), generator)]
        else:
            step, left = min(ways, key=lambda way: abs(way[0].made - target))
        steps.append(step)
    return Try(tuple(steps))


def write(tries: Sequence[Try], target: int) -> str:
    """The completion in which these tries are thought and the last one is answered."""
    thought = "\n".join(each.line(target) for each in tries)
    return f"<think>{thought}</think><answer>{tries[-1].expression}</answer>"


def tries_of(completion: str) -> list[str]:
    """The tries that a completion writes down, in their order, without their looks.

    A line that is no try, as a model may write, is given as it is.
    """
    thought = completion.partition("</think>")[0].removeprefix("<think>")
    lines = [line.strip() for line in thought.split("\n")]
    return [LOOK.sub(r"\1", line) for line in lines if line]


def _draw(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (1,), generator=generator))
