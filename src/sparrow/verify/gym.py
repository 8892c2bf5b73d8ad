"""Any reasoning-gym family as a problem of ours, judged by rules that were read.

reasoning-gym (Apache-2.0) makes problems of about a hundred families. Most of them have
one right answer, and an answer is compared with it, text with text. Where several
answers are right, the family's own scorer decides, if no text can make it run code or
go on for hours; other families are refused by name.

A family may carry settings of its own: `gym:knights_knaves,n_people=2`.
"""

import copy
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sparrow.errors import ConfigError
from sparrow.language import _
from sparrow.verify.families import (
    ASKS_ITS_SCORER,
    CORES,
    LISTS_ANSWERS,
    known_families,
    prove_known,
)
from sparrow.verify.problem import Judgement
from sparrow.verify.quiet import quiet

__all__ = ["GymProblem", "gym_problems", "is_held_out"]

PREFIX = "gym:"
HELD_OUT_ONE_IN = 20
IN_VAIN = 2000  # draws in a row that bring nothing new: there is nothing new
FAILURE = 20  # draws that a failure counts for: it happens by chance, or every time
AT_ONCE = 50  # some families make all of their problems before the first is asked
SHORTEST_LIMIT = 1000  # characters of an answer that are read, or twice the right one

Scorer = Callable[[str, dict[str, Any]], float]


@dataclass(frozen=True)
class GymProblem:
    """One problem of reasoning-gym, with what is needed to judge an answer."""

    family: str
    question: str
    answers: tuple[str, ...]  # right ones; none, if only the scorer knows
    core: str = field(default="", repr=False)  # what makes it this problem
    scorer: Scorer | None = field(default=None, repr=False, compare=False)
    entry: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def judge(self, answer: str) -> Judgement:
        """Compare with the right answers, or ask the family's scorer; never raises."""
        limit = max([SHORTEST_LIMIT, *(2 * len(each) for each in self.answers)])
        if len(answer) > limit:
            why = _(
                "the answer has {got} characters; at most {limit} are read.",
                got=len(answer),
                limit=limit,
            )
            return Judgement(False, 0.0, why)
        written = plain(answer)
        if not written:
            return Judgement(False, 0.0, _("the answer is empty."))
        if written in map(plain, self.answers) or self._is_accepted(answer.strip()):
            return Judgement(True, 1.0)
        return Judgement(True, 0.0, _("{got} is not right.", got=repr(answer[:80])))

    def _is_accepted(self, answer: str) -> bool:
        """Whether the family's scorer gives full marks."""
        if self.scorer is None:
            return False
        try:
            with quiet():
                # A copy: one scorer writes into what it is given.
                return self.scorer(answer, copy.deepcopy(dict(self.entry))) >= 1
        except Exception:  # whatever a scorer stumbles over is no right answer
            return False


def gym_problems(
    family: str, count: int, *, seed: int, held_out: bool, **config: Any
) -> list[GymProblem]:
    """Problems of one family, each once for tests; training may meet one several times.

    Args:
        family: a name that reasoning-gym knows, with or without `gym:` before it and
            settings after it: `gym:knights_knaves,n_people=2`.
        count: how many.
        seed: decides which.
        held_out: from which side of the split.
        config: settings of the family; they win over those in its name.

    Raises:
        ConfigError: there is no such family, setting, or number of problems; the family
            is refused, or reasoning-gym is not installed.
    """
    name, told = _read(family)
    prove_known(name)
    if count < 1:
        raise ConfigError(_("count must be at least 1; got {count}.", count=count))
    found: dict[object, GymProblem] = {}
    in_vain, failed = 0, ""
    for problem in _drawn(name, seed, {**told, **config}):
        in_vain += 1
        if isinstance(problem, Exception):
            failed = f" ({type(problem).__name__}: {problem})"
            in_vain += FAILURE
        elif is_held_out(name, problem.core) == held_out:
            # Training keeps repetitions: they are as likely as the family makes them.
            key = problem.core if held_out else len(found)
            in_vain = in_vain if key in found else 0
            found.setdefault(key, problem)
        if len(found) == count:
            return list(found.values())
        if in_vain >= IN_VAIN:
            break
    raise ConfigError(
        _(
            "{family} has no more than {got} problems on this side of the split, and "
            "{count} were asked for: ask for fewer, or for other settings.{failed}",
            family=family,
            failed=failed,
            got=len(found),
            count=count,
        )
    )


def is_held_out(name: str, core: str) -> bool:
    """Whether this problem is for tests only: one in twenty."""
    digest = hashlib.sha256(f"{PREFIX}{name} {core}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT_ONE_IN == 0


def plain(answer: str) -> str:
    """The same answer without what makes no difference: case, and spaces at borders."""
    lines = (re.sub(r"[ \t]+", " ", line).strip() for line in answer.split("\n"))
    text = "\n".join(line for line in lines if line).casefold()
    return re.sub(r" ?([,()\[\]]) ?", r"\1", text)


def _read(family: str) -> tuple[str, dict[str, Any]]:
    """`gym:bf,difficulty=2` is the family bf and its setting."""
    name, *settings = family.removeprefix(PREFIX).split(",")
    told: dict[str, Any] = {}
    for each in settings:
        key, equals, value = each.partition("=")
        if not equals:
            raise ConfigError(
                _(
                    "{setting} in {family} is no setting: write name=value.",
                    setting=repr(each),
                    family=repr(family),
                )
            )
        try:
            told[key.strip()] = json.loads(value)
        except ValueError:
            told[key.strip()] = value.strip()
    return name.strip(), told


def _drawn(
    name: str, seed: int, config: dict[str, Any]
) -> Iterator[GymProblem | Exception]:
    """Problems without end, as one seed makes them, or what went wrong with one."""
    part = 0
    while True:
        # reasoning-gym makes problem i of seed s from s + i: neighbouring seeds would
        # share nearly all problems, so each portion begins at a hash.
        digest = hashlib.sha256(f"{name} {seed} {part}".encode()).digest()
        start = int.from_bytes(digest[:4], "big") // 2
        with quiet(seed=start):
            dataset = _dataset(name, start, AT_ONCE, config)
        for place in range(AT_ONCE):
            try:
                with quiet(seed=start + place):
                    entry = dataset[place]
            except Exception as error:  # whatever a family stumbles over
                yield error
            else:
                yield _problem(name, entry, dataset.score_answer)
        part += 1


def _dataset(name: str, seed: int, size: int, config: dict[str, Any]) -> Any:
    """A family with its settings."""
    from reasoning_gym.factory import create_dataset

    try:
        return create_dataset(name, seed=seed, size=size, **config)
    except (TypeError, ValueError, AssertionError) as error:
        fields = known_families()[name][1].__dataclass_fields__
        raise ConfigError(
            _(
                "{name} cannot be set up so: {error}. Its settings are: {known}.",
                name=name,
                error=error,
                known=", ".join(sorted(set(fields) - {"seed", "size"})),
            )
        ) from error


def _problem(name: str, entry: dict[str, Any], scorer: Scorer) -> GymProblem:
    """What is asked, and how an answer is judged."""
    if name in LISTS_ANSWERS:
        answers = tuple(map(str, entry["metadata"][LISTS_ANSWERS[name]]))
    else:
        answers = () if entry["answer"] is None else (str(entry["answer"]),)
    own = name in ASKS_ITS_SCORER
    question = entry["question"]
    return GymProblem(
        family=f"{PREFIX}{name}",
        question=question,
        answers=answers,
        core=str(entry["metadata"][CORES[name]])
        if name in CORES
        else entry["question"],
        scorer=scorer if own else None,
        entry=entry if own else {},
    )
