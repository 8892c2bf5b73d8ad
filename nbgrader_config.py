"""How nbgrader works in this course; `nbgrader` and formgrader read it.

Submissions run in our sandbox (`workshop.sandbox`), in place of nbgrader's Execute.
"""

from pathlib import Path

from workshop.classroom import rules
from workshop.grading import rubric, settings

c = get_config()  # type: ignore[name-defined]  # noqa: F821

here = Path(__file__).resolve().parent

c.CourseDirectory.root = str(here)
workshop = rules.of(here).course  # of workshop.toml
c.CourseDirectory.course_id = workshop.code
c.CourseDirectory.db_url = workshop.gradebook or f"sqlite:///{here / 'gradebook.db'}"

# One lab is two folders: solutions/LAB (full) and labs/LAB (what learners get).
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "labs"

c.GenerateAssignment.preprocessors = [
    "nbgrader.preprocessors.LockCells",
    "workshop.grading.preprocessors.CutStubs",  # after it, no answer is left to save
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.CheckCellMetadata",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.SaveCells",  # the gradebook keeps the released cells
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.CheckCellMetadata",
]

c.Autograde.pre_convert_hook = "workshop.grading.hooks.remove_links"
c.Autograde.sanitize_preprocessors = [
    "workshop.grading.preprocessors.RepairCells",  # first: the others trust metadata
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.DeduplicateIds",
    "nbgrader.preprocessors.OverwriteKernelspec",
    "nbgrader.preprocessors.OverwriteCells",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "workshop.grading.preprocessors.RunInSandbox",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "workshop.grading.preprocessors.RecordScores",
    "nbgrader.preprocessors.AssignLatePenalties",
    # After the scores, which depend on what the learner wrote, letter by letter.
    "workshop.grading.preprocessors.SanitizeAnswers",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.SanitizeAnswers.enabled = True
c.AssignLatePenalties.plugin_class = "workshop.grading.late.DaysLate"

c.GenerateFeedback.preprocessors = [
    "workshop.grading.late.SettleLate",  # first: a person may have given points since
    "nbgrader.preprocessors.GetGrades",
    "workshop.grading.preprocessors.MarkUngraded",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]

# In place of nbgrader's folder to which everybody may write.
c.ExchangeFactory.list = "workshop.exchange.instructors.List"
c.ExchangeFactory.release_assignment = "workshop.exchange.instructors.ReleaseAssignment"
c.ExchangeFactory.release_feedback = "workshop.exchange.instructors.ReleaseFeedback"
c.ExchangeFactory.collect = "workshop.exchange.instructors.Collect"

# Pages without script from a submission, and without a request to another host.
c.HTMLExporter.filters = {
    "markdown2html": "workshop.grading.render.markdown",
    "exercise_number": "workshop.grading.render.exercise_number",
    "rubric": rubric.beside(here),
    "say": "workshop.grading.render.say",
    "spoken_language": "workshop.grading.render.spoken_language",
}
c.HTMLExporter.extra_template_basedirs = [
    str(settings.TEMPLATES),  # ours first: feedback, and formgrader with the rubric
    str(settings.NBGRADER_TEMPLATES),
]
# So that our formgrader page can extend nbgrader's own, `formgrade/index.html.j2`.
c.HTMLExporter.extra_template_paths = [str(settings.NBGRADER_TEMPLATES)]
