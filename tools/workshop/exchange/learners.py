"""nbgrader's exchange for learners: what it asks for, asked at the window.

So nbgrader's own *Assignments* panel and its commands do what `lab.submit()` and
`lab.feedback()` do. `hub/jupyter/learner/nbgrader_config.py` names these classes.
"""

import hashlib
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from nbgrader.exchange import abc
from nbgrader.utils import parse_utc

from sparrow import runtime
from sparrow.errors import LabError, SparrowError
from sparrow.lab import catalogue, hand_in
from sparrow.lab.window import lab_at, overview_at
from sparrow.language import _

__all__ = ["FetchAssignment", "FetchFeedback", "List", "Step", "Submit"]

GROUP = ("assignment_id", "student_id", "status")


class Step(abc.Exchange):  # type: ignore[misc]
    """One step of nbgrader's exchange; what fails is one sentence."""

    def init_src(self) -> None:
        """Nothing lies in a folder."""

    def init_dest(self) -> None:
        """Nothing goes to a folder."""

    def copy_files(self) -> None:
        """Nothing is copied."""

    def start(self) -> Any:
        """Do it.

        Raises:
            ExchangeError: with the sentence, as nbgrader expects it.
        """
        try:
            return super().start()
        except SparrowError as error:
            self.fail(str(error))

    @property
    def lab(self) -> str:
        """The lab's name; somebody may have typed a path that ends in it."""
        return Path(self.coursedir.assignment_id).name


class AtWindow(Step):
    """A learner's step."""

    @property
    def folder(self) -> Path:
        """Where the learner has the lab, or will have it."""
        return self._beside(self.lab)

    def _beside(self, lab: str) -> Path:
        return Path(self.assignment_dir).absolute() / lab

    @property
    def window(self) -> Path:
        """The socket of the classroom."""
        if (window := runtime.exchange_window()) is None:
            raise LabError(_("This server belongs to no classroom: log in at a hub."))
        return window


class FetchAssignment(AtWindow, abc.ExchangeFetchAssignment):  # type: ignore[misc]
    """Bring a lab into the learner's folder; what is there already is never touched."""

    def copy_files(self) -> None:
        """Write the files that are not there."""
        if self.folder.exists() and not self.replace_missing_files:
            self.fail(
                _(
                    "You have {lab} already, and it is as you left it. For a fresh "
                    "copy, rename your folder {folder} first.",
                    lab=self.lab,
                    folder=self.folder,
                )
            )
        files = lab_at(self.window, self.lab)
        draft = self.folder.with_name(f".{self.lab}.part")
        target = self.folder if self.folder.exists() else draft
        shutil.rmtree(draft, ignore_errors=True)
        for name, content in files.items():
            if not (target / name).exists():
                with runtime.atomic_write(target / name) as file:
                    file.write(content)
        if target is draft:
            draft.rename(self.folder)
        self.log.info(
            _("Fetched {lab} into {folder}.", lab=self.lab, folder=self.folder)
        )


class Submit(AtWindow, abc.ExchangeSubmit):  # type: ignore[misc]
    """Hand a lab in, as `lab.submit()` does."""

    def copy_files(self) -> None:
        """Give the notebook and what the lab asks for beside it; keep the receipt."""
        about = catalogue.about(self.lab)
        receipt = hand_in.hand_in(about, self.folder / f"{about.name}.ipynb")
        self.log.info(_("Handed in. Your receipt: {path}", path=receipt))
        if missing := hand_in.missing(about):
            self.log.warning(
                _(
                    "The lab also asks for {files}, which you have not made yet: run "
                    "the cells that make it, then submit again.",
                    files=", ".join(missing),
                )
            )


class FetchFeedback(AtWindow, abc.ExchangeFetchFeedback):  # type: ignore[misc]
    """Bring the feedback, as `lab.feedback()` does."""

    def copy_files(self) -> None:
        """Put the pages beside the notebook."""
        page = hand_in.fetch_feedback(catalogue.about(self.lab), self.folder)
        self.log.info(_("Your feedback: open {path} in the list of files.", path=page))


class List(AtWindow, abc.ExchangeList):  # type: ignore[misc]
    """Say what there is to fetch, and what was handed in."""

    def list_files(self) -> list[dict[str, Any]]:
        """What nbgrader's panel shows."""
        told = overview_at(self.window)
        wanted = self.coursedir.assignment_id
        if self.inbound or self.cached:
            labs = list(dict.fromkeys(each["lab"] for each in told["receipts"]))
            found = [self._handed_in(lab, told) for lab in labs]
        else:
            found = [self._to_fetch(lab) for lab in told["labs"]]
        found = [x for x in found if wanted in ("", "*", x["assignment_id"])]
        for each in found:
            each["course_id"] = told["course"]
            self.log.info("%(assignment_id)s (%(status)s)", each)
        return found

    def remove_files(self) -> None:
        """Refuse: only the instructor withdraws labs, and nobody what was handed in."""
        self.fail(_("Nothing is removed here: what was handed in stays on record."))

    def _to_fetch(self, lab: str) -> dict[str, Any]:
        folder = self._beside(lab)
        notebooks = [
            {"notebook_id": each.stem, "path": str(each)}
            for each in sorted(folder.glob("*.ipynb"))
        ]
        return {
            "assignment_id": lab,
            "status": "fetched" if folder.is_dir() else "released",
            "path": str(folder),
            "notebooks": notebooks,
        }

    def _handed_in(self, lab: str, told: dict[str, Any]) -> dict[str, Any]:
        """All receipts of a lab, each with what is known of its feedback."""
        page = self._beside(lab) / "feedback" / f"{lab}.html"
        submissions = []
        for receipt in told["receipts"]:
            if receipt["lab"] == lab:
                at = datetime.fromisoformat(receipt["at"])
                feedback = _feedback(page, told["feedback"].get(lab, {}), at)
                about = {
                    "assignment_id": lab,
                    "student_id": receipt["learner"],
                    "status": "submitted",
                    "timestamp": _row(receipt["number"], at, feedback),
                    "notebooks": [{"notebook_id": lab, "path": "", **feedback}],
                }
                submissions.append({**about, **feedback})
        first = {key: submissions[0][key] for key in GROUP}
        return {**first, "submissions": submissions}


def _row(number: int, at: datetime, feedback: Mapping[str, Any]) -> str:
    """What the panel shows in place of a bare time."""
    time = f"{at.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    if feedback["has_exchange_feedback"]:
        return _("{time}, receipt {number}", time=time, number=number)
    return _("{time}, receipt {number}, no feedback yet", time=time, number=number)


def _feedback(page: Path, given: Mapping[str, str], at: datetime) -> dict[str, Any]:
    """What nbgrader wants to know of the feedback on a submission.

    Args:
        page: where a learner keeps it.
        given: what was released: the time of the work, and hashes by name.
        at: when the submission came.
    """
    when = given.get("at")  # empty where the work was not collected from the window
    is_about = bool(given) and (not when or parse_utc(when) == parse_utc(at))
    is_here = is_about and page.is_file()
    return {
        "has_exchange_feedback": is_about,
        "has_local_feedback": is_here,
        "feedback_updated": is_here
        and hashlib.sha256(page.read_bytes()).hexdigest() != given.get(page.name),
        "local_feedback_path": str(page.parent) if is_here else None,
    }
