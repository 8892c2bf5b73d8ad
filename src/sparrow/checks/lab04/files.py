"""Exercise 4.5: write a checkpoint that is whole or not there, on a disk that fails."""

import torch

from sparrow.checks import power_cut
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.train import state

__all__ = ["CHECKS"]

WHOLE, DISK, FULL = "old or new, never half", "on the disk first", "a full disk"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """With an old file and without; a disk that is full at two moments."""
    size = int(torch.randint(20, 800, (1,), generator=generator)) if hidden else 300
    new = "new " * size  # less than a buffer: without flush the disk gets nothing
    found = []
    for name, group, old, refuses in (
        ("the first file", WHOLE, None, ""),
        ("in place of an old one", WHOLE, "old", ""),
        ("what the disk has before the rename", DISK, "old", ""),
        ("full while it is written", FULL, "old", "sync"),
        ("full while it is written, no old one", FULL, None, "sync"),
        ("refused at the rename", FULL, "old", "rename"),
    ):
        inputs: dict[str, Plain] = {"old": old, "new": new, "refuses": refuses}
        found.append(Case(name, group, inputs))
    return found


def expected(case: Case) -> Plain:
    """What happens when the library writes."""
    return power_cut.power_cut(state.write_whole, dict(case.inputs))


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The first thing that went wrong, in the order of time."""
    assert isinstance(wanted, dict)
    if not isinstance(actual, dict) or wanted.keys() != actual.keys():
        return Verdict(False, _("This is no answer of the driver."))
    for wrong, message in mistakes(case, actual):
        if wrong:
            return Verdict(False, message)
    if any(actual[name] != wanted[name] for name in ("left", "others", "raised")):
        return Verdict(False, _("The file is not what it should be."))
    return Verdict(True)


def mistakes(case: Case, actual: dict[str, Plain]) -> list[tuple[bool, str]]:
    """What can go wrong, and whether it did."""
    old, new, fails = (case.inputs[name] for name in ("old", "new", "refuses"))
    in_place = (
        bool(actual["in_place"]),
        _("The file itself is opened for writing: a power cut leaves half of it."),
    )
    if case.group == WHOLE:
        return [
            in_place,
            (actual["left"] is None, _("There is no file: was it renamed at the end?")),
            (
                bool(actual["gap"]),
                _("The old file is gone before the new one has its name."),
            ),
            (
                bool(actual["elsewhere"]),
                _("The temporary file is in another folder: maybe on another disk."),
            ),
            (not actual["renamed"], _("Nothing is renamed: how does it get its name?")),
            (actual["left"] != new, _("The file does not hold the data.")),
            (bool(actual["others"]), _("Another file is left beside it.")),
        ]
    if case.group == DISK:
        return [
            in_place,
            (
                not actual["synced"],
                _(
                    "It is renamed before the disk has all of it: write, flush, and "
                    "os.fsync, then rename."
                ),
            ),
        ]
    return [
        in_place,
        (
            not actual["raised"] and fails == "sync",
            _("The disk was full, and nobody was told: is there an fsync, or a catch?"),
        ),
        (not actual["raised"], _("The rename failed, and nobody was told.")),
        (
            actual["left"] != old,
            _("The disk was full, and the old file is no longer as it was."),
        ),
        (bool(actual["others"]), _("The temporary file is left over: take it away.")),
    ]


CHECKS = {
    "4.5": Check(
        exercise="4.5",
        solution="sparrow.train.state:write_whole",
        groups={WHOLE: 0.4, DISK: 0.3, FULL: 0.3},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="power_cut",
    )
}
