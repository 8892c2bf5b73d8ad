"""Begin a lab: what this machine offers, what you kept, where your work goes."""

import sys
import time
from pathlib import Path
from typing import Any

from sparrow import checks, runtime
from sparrow.checks import library, registry, runner
from sparrow.checks.judging import Outcome
from sparrow.errors import LabError, SparrowError
from sparrow.lab import board, catalogue, hand_in, keep
from sparrow.lab.catalogue import About
from sparrow.language import _

__all__ = ["Lab", "start"]


class Lab:
    """One lab that has begun; `start` makes it."""

    def __init__(self, about: About) -> None:
        self.about = about
        self.last_passed_s: float | None = None

    def __repr__(self) -> str:
        return f"<Lab {self.about.name}>"

    def use_mine(self, learner_object: Any, *, force: bool = False) -> None:
        """Let the library call your function in place of its own.

        Args:
            learner_object: a function or class that an exercise of this lab asks for.
            force: use it even though it does not pass its check.

        Raises:
            LabError: no exercise asks for it, or it does not pass its check yet.
        """
        number, symbol = self._exercise_of(learner_object)
        if not force:
            outcome = runner.run_public(registry.find(number), learner_object)
            if not outcome.passed:
                raise LabError(
                    _(
                        'Exercise {number} does not pass its check yet. Run check("'
                        "{number}\", {name}) to see why; the library's own version "
                        "stays in use.",
                        number=number,
                        name=learner_object.__name__,
                    )
                )
        library.replace(symbol, learner_object)
        print(_("The library now calls your {name}.", name=learner_object.__name__))

    def use_library(self, name: str | None = None) -> None:
        """Let the library call its own functions again: one by name, or all."""
        back = [
            symbol
            for symbol in library.replaced()
            if name is None or _last_name(symbol) == name
        ]
        for symbol in back:
            library.put_back(symbol)
        if not back:
            print(_("The library calls its own functions already."))
            return
        names = ", ".join(_last_name(symbol) for symbol in back)
        print(_("The library calls its own functions again: {names}.", names=names))

    def submit(self, path: str | Path | None = None) -> None:
        """Hand the lab in: save first (Ctrl+S), then call this.

        Args:
            path: your notebook; found by itself in JupyterLab.

        Raises:
            LabError: the notebook is not saved, is not this lab's, or is too large.
            StorageError: the course folder cannot be written.
        """
        notebook = Path(path) if path else self._notebook()
        if notebook.is_file() and self._is_older_than_last_pass(notebook):
            raise LabError(
                _(
                    "{file} was saved before your last check passed: save it (Ctrl+S), "
                    "then submit again.",
                    file=notebook.name,
                )
            )
        receipt = hand_in.hand_in(self.about, notebook)
        print(_("Handed in. Your receipt: {path}", path=receipt))
        if missing := hand_in.missing(self.about):
            print(
                _(
                    "The lab also asks for {files}, which you have not made yet: run "
                    "the cells that make it, then submit again.",
                    files=", ".join(missing),
                )
            )

    def feedback(self) -> Path:
        """Fetch what grading says about your work; it lies beside the notebook.

        Returns:
            The page to open.

        Raises:
            LabError: there is no feedback yet.
            StorageError: nobody answers, or the disk is full.
        """
        page = hand_in.fetch_feedback(self.about, Path.cwd())
        print(_("Your feedback: open {path} in the list of files.", path=page))
        return page

    def share(self, yes: bool = True) -> None:
        """Show your progress on the instructor's board, or show it no more.

        The board shows which checks you ran, which of them passed, and the likeliest
        cause of a mistake. It never gets your code, your answers or your text.

        Args:
            yes: `False` takes you off the board; what it knew of you is deleted.

        Raises:
            StorageError: your choice cannot be remembered.
        """
        if not board.is_there():
            print(_("There is no board here: nobody sees your progress."))
            return
        heard = board.agree(yes)
        print(_progress())
        if not heard and not yes:
            print(
                _(
                    "The board does not answer, so it has not deleted what it knew: "
                    "call lab.share(False) again in a minute."
                )
            )

    def _exercise_of(self, learner_object: Any) -> tuple[str, str]:
        """The number and the library symbol that this object stands for."""
        name = getattr(learner_object, "__name__", None)
        for number, symbol in self.about.solutions.items():
            if _last_name(symbol) == name:
                return number, symbol
        names = [_last_name(symbol) for symbol in self.about.solutions.values()]
        raise LabError(
            _(
                "This lab has no exercise for {name}; it has: {names}.",
                name=name or type(learner_object).__name__,
                names=", ".join(names) or _("none"),
            )
        )

    def _note(self, number: str, learner_object: Any) -> None:
        """A check has passed: keep the work."""
        self.last_passed_s = time.time()
        try:
            keep.keep(number, learner_object)
        except SparrowError as error:  # a check that passes must not end in an error
            print(error)

    def _tell(self, outcome: Outcome) -> None:
        """A check has been run: the board may know."""
        board.tell(self.about.name, outcome)

    def _is_older_than_last_pass(self, notebook: Path) -> bool:
        if self.last_passed_s is None:
            return False
        return notebook.stat().st_mtime < self.last_passed_s - 1

    def _notebook(self) -> Path:
        """This notebook's file: as Jupyter or VS Code says, or by the lab's name."""
        main = sys.modules.get("__main__")
        told = runtime.notebook_in_session()
        told = told or getattr(main, "__vsc_ipynb_file__", None)
        named = Path.cwd() / f"{self.about.name}.ipynb"
        for candidate in (told, named):
            if candidate is not None and Path(candidate).is_file():
                return Path(candidate)
        # renamed while its kernel runs: Jupyter then still says the old name
        ours = [each for each in Path.cwd().glob("*.ipynb") if self._is_ours(each)]
        return ours[0] if len(ours) == 1 else named

    def _is_ours(self, notebook: Path) -> bool:
        return hand_in.lab_of(notebook) == self.about.name


def start(name: str) -> Lab:
    """Begin a lab, and print what this machine offers it.

    Args:
        name: the lab's name, such as `"02_latent_attention"`.

    Raises:
        LabError: there is no such lab.
    """
    runtime.use_language()
    lab = Lab(catalogue.about(name))
    checks.on_pass[:] = [lab._note]
    checks.on_check[:] = [lab._tell]
    print(_welcome(lab.about))
    return lab


def _last_name(symbol: str) -> str:
    """`absorbed_scores` of `sparrow.model.mla:absorbed_scores`."""
    return symbol.replace(":", ".").rpartition(".")[2]


def _welcome(about: About) -> str:
    """A short, calm block: the question, the machine, the budget, the folder."""
    here = runtime.machine()
    device = here.device_name if here.tier == "gpu" else here.device.upper()
    lines = [_(about.title)]  # data: the catalogue takes it from labs.json
    if about.question.casefold() not in about.title.casefold():
        lines.append(_(about.question))
    lines += [
        _(
            "Machine: {device}, {cores} cores, {memory:.0f} GiB, {dtype}",
            device=device,
            cores=here.cores,
            memory=here.memory_gib,
            dtype=here.dtype,
        ),
        _("Tier: GPU, one card")
        if here.tier == "gpu"
        else _("Tier: CPU, everything small enough to finish in minutes"),
        _(
            "Versions: Sparrow {sparrow}, PyTorch {torch}, Python {python}",
            sparrow=sys.modules["sparrow"].__version__,
            torch=here.torch,
            python=here.python,
        ),
        _(
            "Budget: {minutes} minutes, {memory} GiB of memory",
            minutes=about.minutes,
            memory=about.memory_gib,
        ),
        _("Your work is kept in {folder}", folder=runtime.home_folder()),
    ]
    if board.is_there():
        lines.append(_progress())
    return "\n".join(lines)


def _progress() -> str:
    """Who sees how far the learner is, and how to change it."""
    if board.shares():
        return _(
            "Progress: your instructor sees which checks pass, never your work; end "
            "it with lab.share(False)"
        )
    return _(
        "Progress: nobody sees it; to show your instructor which checks pass, call "
        "lab.share()"
    )
