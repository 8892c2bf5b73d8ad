"""Everybody does the same at the same moment: log in, open, run, hand in.

A real class is kinder: people come one after the other, and read while they work.
"""

import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import httpx
import nbformat
import websocket

from sparrow.errors import SparrowError
from workshop.exchange.desk import Desk, Receipt
from workshop.grading.course import Course
from workshop.rehearsal.learner import Learner
from workshop.rehearsal.memory import Taken, Watch, load_per_core, taken, watched
from workshop.rehearsal.room import Room

__all__ = ["STEPS", "Result", "conduct", "light_cells"]

STEPS = ("log_in", "open", "run", "hand_in")
FAILURES = (
    SparrowError,
    httpx.HTTPError,
    websocket.WebSocketException,
    OSError,
    ValueError,
    LookupError,
)
# Cells that time things, or load another library: a class comes there one by one.
HEAVY = ("measure.", "AutoModel")
RECEIPT = """
from sparrow import runtime as _runtime
_kept = (_runtime.home_folder() / "receipts").glob("*.json")
print(max(_kept, key=lambda each: each.stat().st_mtime).read_text())
"""


@dataclass
class Result:
    """What a rehearsal measured; one number for each learner who came so far."""

    learners: int
    lab: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    memory: list[Taken] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    handed_in: int = 0
    machine: Watch = field(default_factory=lambda: Watch(before_mib=0, least_mib=0))
    load_before: float = 0.0

    @property
    def went_well(self) -> bool:
        """Whether everybody came to the end, and everything is there."""
        return not self.errors and self.handed_in == self.learners


def light_cells(notebook: Any) -> list[str]:
    """The code of a lab, without what takes long on purpose."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return [each for each in code if not any(word in each for word in HEAVY)]


def conduct(room: Room, lab: str, tell: Callable[[str], None]) -> Result:
    """Let everybody in the room do one lab.

    Args:
        room: a hub that runs.
        lab: which one; the full notebook of the course is what they write.
        tell: told each step's name as it begins.
    """
    full = nbformat.read(Course.at(room.people.place.course).reference_path(lab), 4)
    class_ = _Class(room, lab, full)
    result = class_.result
    result.load_before = load_per_core()
    try:
        with watched(room.end_servers) as result.machine:
            for step in STEPS:
                tell(step)
                class_.together(step, getattr(class_, step))
                if step == "run":
                    result.memory = list(taken(class_.names()).values())
            class_.together("", class_.read_receipt)
        class_.look_for_what_was_handed_in()
    finally:
        for each in class_.learners:
            each.close()
    return result


class _Class:
    """The learners of a rehearsal; whoever fails does not go on."""

    def __init__(self, room: Room, lab: str, full: Any) -> None:
        self.room, self.lab, self.full = room, lab, full
        self.path = f"labs/{lab}/{lab}.ipynb"
        self.cells = light_cells(full)
        self.learners = [Learner(room, account) for account in room.passcodes]
        self.present = list(self.learners)
        self.receipts: dict[str, dict[str, Any]] = {}
        self.result = Result(learners=len(self.learners), lab=lab)

    def names(self) -> list[str]:
        """The accounts of those who are still there."""
        return [each.account for each in self.present]

    def together(self, step: str, do: Callable[[Learner], None]) -> None:
        """Let all begin at the same moment; note the time of each, or why not."""

        def timed(learner: Learner) -> float | str:
            started = time.monotonic()
            try:
                do(learner)
            except FAILURES as error:
                return f"{type(error).__name__}: {error}"
            return time.monotonic() - started

        with ThreadPoolExecutor(max(1, len(self.present))) as pool:
            found = list(zip(self.present, pool.map(timed, self.present), strict=True))
        if step:
            seconds = [each for _who, each in found if isinstance(each, float)]
            self.result.seconds[step] = seconds
        self.result.errors += [
            f"{who.account}, {step or 'receipt'}: {each}"
            for who, each in found
            if isinstance(each, str)
        ]
        self.present = [who for who, each in found if isinstance(each, float)]

    def log_in(self, learner: Learner) -> None:
        """To the page of JupyterLab."""
        learner.log_in()

    def open(self, learner: Learner) -> None:
        """To a kernel that answers."""
        learner.open(self.path)

    def run(self, learner: Learner) -> None:
        """All light cells, one after the other."""
        for cell in self.cells:
            learner.run(cell)

    def hand_in(self, learner: Learner) -> None:
        """Save, then submit."""
        written = deepcopy(self.full)
        written.cells[0].source += f"\n\n{learner.account}"
        learner.save(self.path, written)
        learner.run("lab.submit()")

    def read_receipt(self, learner: Learner) -> None:
        """What the learner holds in hand."""
        self.receipts[learner.account] = json.loads(learner.run(RECEIPT))

    def look_for_what_was_handed_in(self) -> None:
        """Every receipt stands in the record, and every file is what was sent."""
        place = self.room.people.place
        desk = Desk(Course.at(place.course), self.room.classroom)
        known = {each.hash: each for each in desk.receipts()}
        collected = {each.learner for each in desk.collect(self.lab)}
        for account, receipt in self.receipts.items():
            line = known.get(receipt["hash"])
            if line is None or account not in collected:
                self.result.errors.append(f"{account}: lost, {receipt['hash']}")
            elif line.learner == account and self._is_whole(account, line):
                self.result.handed_in += 1
            else:
                self.result.errors.append(f"{account}: not what was handed in")

    def _is_whole(self, account: str, line: Receipt) -> bool:
        file = self.room.people.place.home(account) / self.path
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        return line.files[f"{self.lab}.ipynb"] == digest
