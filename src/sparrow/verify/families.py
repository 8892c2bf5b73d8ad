"""Which families of reasoning-gym are asked here, and who judges their answers."""

from difflib import get_close_matches
from typing import Any

from sparrow.errors import ConfigError
from sparrow.language import _
from sparrow.verify.quiet import quiet

__all__ = [
    "ASKS_ITS_SCORER",
    "CORES",
    "LISTS_ANSWERS",
    "known_families",
    "prove_known",
    "refused",
]

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

# What makes it this problem, where one problem is worded in several ways or with other
# names; elsewhere it is the whole question. It decides the side of the split.
CORES = {"bf": "bf_program", "knights_knaves": "statements"}


def refused() -> dict[str, str]:
    """Families that are not asked, each with its reason, in the chosen language."""
    runs = _("its scorer runs the answer as Python code")
    return {
        "composite": _("it is made of other families; ask for one of them"),
        "countdown": _(
            "its scorer runs the answer as Python code; the family countdown of "
            "Sparrow asks the same"
        ),
        "intermediate_integration": runs,
        "polynomial_multiplication": runs,
        "propositional_logic": _("its scorer takes what is given for a conclusion"),
        "puzzle24": runs,
        "rubiks_cube": _("its scorer writes a move as often as the answer says"),
        "rush_hour": _("its scorer makes as many moves as the answer says"),
        "simple_integration": runs,
    }


def prove_known(name: str) -> None:
    """Whether a family exists, and may be used."""
    known = known_families()
    if name in refused():
        raise ConfigError(
            _(
                "the family {name} of reasoning-gym is not used here: {why}.",
                name=name,
                why=refused()[name],
            )
        )
    if name not in known:
        usable = sorted(set(known) - set(refused()))
        near = get_close_matches(name, usable, n=4, cutoff=0.4) or usable[:4]
        raise ConfigError(
            _(
                "reasoning-gym has no family {name}; did you mean one of: {near}?",
                name=repr(name),
                near=", ".join(near),
            )
        )


def known_families() -> dict[str, Any]:
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
