"""What nbgrader's *Assignments* panel asks a learner's server, answered in sentences.

nbgrader's own extension answers a refusal with ten lines of Python, and says nothing
when a lab or its feedback cannot be fetched. This Jupyter Server extension is loaded in
its place (`hub/jupyter/learner`): the same panel, the same addresses.
"""

import json
import os
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange import ExchangeError
from nbgrader.server_extensions.assignment_list.handlers import (
    AssignmentListHandler,
    CourseListHandler,
    NbGraderVersionHandler,
)
from tornado import web

from sparrow.language import _
from workshop.exchange import learners

__all__ = ["Assignments"]

STEPS = {
    "fetch": learners.FetchAssignment,
    "submit": learners.Submit,
    "fetch_feedback": learners.FetchFeedback,
    "list": learners.List,
}


class Assignments:
    """A learner's steps, each with one answer for the panel.

    Args:
        root: where the server's list of files begins; the panel wants paths from there.
        labs: where the learner's labs lie.
    """

    def __init__(self, root: Path, labs: Path) -> None:
        self.root, self.labs = root, labs

    def do(self, name: str, lab: str = "", **how: Any) -> dict[str, Any]:
        """Do a step; `value` is what it gives, or the sentence why it cannot."""
        step = STEPS[name](
            coursedir=CourseDirectory(assignment_id=lab),
            assignment_dir=str(self.labs),
            **how,
        )
        try:
            return {"success": True, "value": step.start()}
        except ExchangeError as error:
            return {"success": False, "value": str(error)}

    def list_assignments(self, course_id: str | None = None) -> dict[str, Any]:
        """What can be fetched, what was, and what was handed in."""
        found = []
        for handed_in in (False, True):
            told = self.do("list", cached=handed_in)
            if not told["success"]:
                return told
            found += told["value"]
        for each in found:
            for part in (
                each,
                *each.get("notebooks", ()),
                *each.get("submissions", ()),
            ):
                for key in ("path", "local_feedback_path"):
                    if part.get(key):
                        part[key] = os.path.relpath(part[key], self.root)
        return {"success": True, "value": found}

    def list_courses(self) -> dict[str, Any]:
        """There is one."""
        told = self.list_assignments()
        if told["success"]:
            told["value"] = sorted({each["course_id"] for each in told["value"]})
        return told


class StepHandler(JupyterHandler):
    """A button of the panel."""

    @web.authenticated
    def post(self, name: str) -> None:
        """Do it, and list everything anew; or say why it cannot be done."""
        panel: Assignments = self.settings["assignment_list_manager"]
        told = panel.do(name, str((self.get_json_body() or {}).get("assignment_id")))
        if told["success"] or name == "fetch_feedback":  # the list says what is out
            told = panel.list_assignments()
        self.finish(json.dumps(told))


class ValidateHandler(JupyterHandler):
    """nbgrader would run the whole notebook; ours has its checks inside."""

    @web.authenticated
    def post(self) -> None:
        """Say where the checks are."""
        value = _(
            "Run the cells with check(…) in the notebook: they say what is right."
        )
        self.finish(json.dumps({"success": False, "value": value}))


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Tell Jupyter Server where the extension is."""
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Add the handlers to a server that is starting."""
    base = server.web_app.settings["base_url"]
    server.web_app.settings["assignment_list_manager"] = Assignments(
        Path(server.root_dir), Path.home() / "labs"
    )
    handlers = [
        ("/assignments", AssignmentListHandler),
        ("/assignments/(fetch|submit|fetch_feedback)", StepHandler),
        ("/assignments/validate", ValidateHandler),
        ("/courses", CourseListHandler),
        ("/nbgrader_version", NbGraderVersionHandler),
    ]
    server.web_app.add_handlers(
        ".*$", [(url_path_join(base, path), handler) for path, handler in handlers]
    )
