"""Exercise 4.6: keep all that decides how training goes on."""

import torch

from sparrow.checks import power_cut
from sparrow.checks.compare import is_close
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.train import state

__all__ = ["CHECKS"]

WEIGHTS, MEMORY, CHANCE = "weights and buffers", "the optimizer", "the generator"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Runs in which one more thing has to survive."""
    found = []
    for count in range(2 if hidden else 1):
        seed, before = torch.randint(1, 9, (2,), generator=generator).tolist()
        for group, optimizer, dropout in (
            (WEIGHTS, "sgd", 0.0),
            (MEMORY, "adamw", 0.0),
            (CHANCE, "sgd", 0.5),
        ):
            inputs: dict[str, Plain] = {
                "optimizer": optimizer,
                "dropout": dropout,
                "seed": seed,
                "before": before,
                "after": 5,
            }
            found.append(Case(f"{group}, run {count + 1}", group, inputs))
    return found


def expected(case: Case) -> Plain:
    """The losses after the cut, with the library's state."""
    return power_cut.interrupted(state.capture, dict(case.inputs))


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same losses after the cut; if not: what was lost."""
    assert isinstance(wanted, dict)
    if not isinstance(actual, dict) or wanted.keys() != actual.keys():
        return Verdict(False, _("This is no answer of the driver."))
    if actual["moved"]:
        return Verdict(
            False,
            _("What was kept moves on with the training: keep copies (clone)."),
        )
    missing = actual["missing"]
    assert isinstance(missing, list)
    named = [name for name in missing if isinstance(name, str)]
    lost = {
        WEIGHTS: [name for name in named if name.startswith("model.")],
        MEMORY: [name for name in named if name == "optimizer"],
        CHANCE: [name for name in named if name.startswith("generator.")],
    }
    if lost[case.group]:
        return Verdict(
            False,
            _("There is no {name} in what was kept.", name=", ".join(lost[case.group])),
        )
    right, got = wanted["losses"], actual["losses"]
    # the same machine and the same order: bit for bit but for the last digits
    if isinstance(got, list) and len(got) == 5 and is_close(got, right, 1e-5, 1e-7):
        return Verdict(True)
    return Verdict(
        False,
        {
            WEIGHTS: _("It goes on from other weights or buffers than it had."),
            MEMORY: _("The optimizer goes on without a part of its memory."),
            CHANCE: _("Dropout goes on with other random numbers."),
        }[case.group],
    )


CHECKS = {
    "4.6": Check(
        exercise="4.6",
        solution="sparrow.train.state:capture",
        groups={WEIGHTS: 0.4, MEMORY: 0.3, CHANCE: 0.3},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="interrupted",
    )
}
