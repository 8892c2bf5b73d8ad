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
from difflib import get_close_matches
from typing import Any

from sparrow.errors import ConfigError
from sparrow.language import _
from sparrow.verify.problem import Judgement
from sparrow.verify.quiet import quiet

__all__ = ["GymProblem", "gym_problems", "is_held_out"]

PREFIX = "gym:"
HELD_OUT_ONE_IN = 20
IN_VAIN = 2000  # draws in a row that bring nothing new: there is nothing new
AT_ONCE = 50  # some families make all of their problems before the first is asked
SHORTEST_LIMIT = 1000  # characters of an answer that are read, or twice the right one

# Several answers are right, and the scorer was read: it neither runs what it reads nor
# loops as often as a number in the answer says.
ASKS_ITS_SCORER = frozenset(
    {
        "boxnet",
        "cryptarithm",
        "graph_color",
        "group_anagrams",
        "jugs",
        "kakurasu",
        "knight_swap",
        "knights_knaves",
        "palindrome_generation",
        "palindrome_partitioning",
        "power_function",
        "quantum_lock",
        "shortest_path",
        "sokoban",
        "tower_of_hanoi",
        "word_ladder",
    }
)
# Several answers are right, and the problem lists them under this name.
LISTS_ANSWERS = {"n_queens": "valid_answers"}

_RUNS = "its scorer runs the answer as Python code"
REFUSED = {
    "composite": "it is made of other families; ask for one of them",
    "countdown": f"{_RUNS}; the family countdown of Sparrow asks the same",
    "intermediate_integration": _RUNS,
    "polynomial_multiplication": _RUNS,
    "propositional_logic": "its scorer takes what is given for a conclusion",
    "puzzle24": _RUNS,
    "rubiks_cube": "its scorer writes a move as often as the answer says",
    "rush_hour": "its scorer makes as many moves as the answer says",
    "simple_integration": _RUNS,
}

Scorer = Callable[[str, dict[str, Any]], float]


@dataclass(frozen=True)
class GymProblem:
    """One problem of reasoning-gym, with what is needed to judge an answer."""

    family: str
    question: str
    answers: tuple[str, ...]  # right ones; none, if only the scorer knows
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
    _prove_known(name)
    if count < 1:
        raise ConfigError(_("count must be at least 1; got {count}.", count=count))
    found: dict[object, GymProblem] = {}
    in_vain = 0
    for problem in _drawn(name, seed, {**told, **config}):
        in_vain += 1
        # Training keeps repetitions: they are as likely as the family makes them.
        key = problem.question if held_out else len(found)
        if is_held_out(name, problem.question) == held_out and key not in found:
            found[key] = problem
            in_vain = 0
        if len(found) == count:
            return list(found.values())
        if in_vain == IN_VAIN:
            break
    raise ConfigError(
        _(
            "{family} has no more than {got} problems on this side of the split, and "
            "{count} were asked for: ask for fewer, or for a harder setting.",
            family=family,
            got=len(found),
            count=count,
        )
    )


def is_held_out(name: str, question: str) -> bool:
    """Whether this question is for tests only: one in twenty."""
    digest = hashlib.sha256(f"{PREFIX}{name} {question}".encode()).digest()
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


def _prove_known(name: str) -> None:
    """Whether a family exists, and may be used."""
    known = _families()
    if name in REFUSED:
        raise ConfigError(
            _(
                "the family {name} of reasoning-gym is not used here: {why}.",
                name=name,
                why=REFUSED[name],
            )
        )
    if name not in known:
        usable = sorted(set(known) - set(REFUSED))
        near = get_close_matches(name, usable, n=4, cutoff=0.4) or usable[:4]
        raise ConfigError(
            _(
                "reasoning-gym has no family {name}; did you mean one of: {near}?",
                name=repr(name),
                near=", ".join(near),
            )
        )


def _families() -> dict[str, Any]:
    """Name -> classes; imported late, as it takes a second."""
    try:
        with quiet():
            import reasoning_gym.factory
    except ImportError as error:
        raise ConfigError(
            _(
                "reasoning-gym is not there ({error}): pip install "
                '"sparrow-workshop[gym]" adds it; it needs a C compiler.',
                error=error,
            )
        ) from error
    families: dict[str, Any] = reasoning_gym.factory.DATASETS
    return families


def _drawn(name: str, seed: int, config: dict[str, Any]) -> Iterator[GymProblem]:
    """Problems without end, as one seed makes them."""
    part = 0
    while True:
        # reasoning-gym makes problem i of seed s from s + i: neighbouring seeds would
        # share nearly all problems, so each portion begins at a hash.
        digest = hashlib.sha256(f"{name} {seed} {part}".encode()).digest()
        start = int.from_bytes(digest[:4], "big") // 2
        with quiet(seed=start):
            dataset = _dataset(name, start, AT_ONCE, config)
        for place in range(AT_ONCE):
            with quiet(seed=start + place):
                entry = dataset[place]
            yield _problem(name, entry, dataset.score_answer)
        part += 1


def _dataset(name: str, seed: int, size: int, config: dict[str, Any]) -> Any:
    """A family with its settings."""
    from reasoning_gym.factory import create_dataset

    try:
        return create_dataset(name, seed=seed, size=size, **config)
    except (TypeError, ValueError, AssertionError) as error:
        fields = _families()[name][1].__dataclass_fields__
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
    return GymProblem(
        family=f"{PREFIX}{name}",
        question=entry["question"],
        answers=answers,
        scorer=scorer if own else None,
        entry=entry if own else {},
    )
