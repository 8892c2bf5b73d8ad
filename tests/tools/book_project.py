"""A small project with the real pages of the book and one tiny lab."""

import shutil
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

REAL = Path(__file__).resolve().parents[2]
LAB = "90_tiny"
DRAWING = """\
class Drawing:
    def _repr_mimebundle_(self, **options):
        return {
            "application/vnd.jupyter.widget-view+json": {"model_id": "none"},
            "text/html": '<img alt="A red dot." width="20" src="data:image/svg+xml,'
            '%3Csvg xmlns=%22http://www.w3.org/2000/svg%22/%3E">',
            "text/plain": "A red dot.",
        }
Drawing()"""


def lab_cells(*, is_full: bool) -> list[nbformat.NotebookNode]:
    """The cells of the tiny lab; the full one holds the answer `6 * 7`."""
    stub = 'def answer():\n    raise NotImplementedError("Exercise 90.1")'
    solution = "def answer():\n    return 6 * 7"
    answer = new_code_cell(solution if is_full else stub, id="answer-90-1")
    answer.metadata.sparrow = {"exercise": "90.1", "role": "answer"}
    check = new_code_cell('print("passed by", answer())', id="check-90-1")
    check.metadata.sparrow = {"exercise": "90.1", "role": "check"}
    return [
        new_markdown_cell("# Lab 90 · How small is a lab?", id="c001"),
        new_markdown_cell(
            "A [latent](../../book/glossary.md#latent) and a zebrafinch.\n\n"
            "The work is\n\n$$C = 6\\,N\\,D$$\n\nwhere $C$ counts FLOPs.",
            id="c002",
        ),
        new_code_cell('print("shown", end=" ", flush=True)\nprint(40 + 2)', id="c003"),
        new_markdown_cell("**Exercise 90.1** · build · 1 min · 1 points", id="c004"),
        answer,
        new_markdown_cell(
            "<details><summary>Think</summary>\n\nWhat is six by seven?\n\n</details>",
            id="c005",
        ),
        check,
        new_markdown_cell("A picture that moves in a notebook:", id="c006"),
        new_code_cell(DRAWING, id="c007"),
    ]


def write_lab(root: Path, name: str = LAB) -> None:
    """Write the learner's and the full notebook of the tiny lab."""
    for folder, is_full in (("labs", False), ("solutions", True)):
        notebook = new_notebook(cells=lab_cells(is_full=is_full))
        path = root / folder / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(nbformat.writes(notebook), "utf-8")


def make_project(root: Path) -> Path:
    """The real book, one lab, and a library of one line."""
    hidden = shutil.ignore_patterns("_build", "__pycache__")
    shutil.copytree(REAL / "book", root / "book", ignore=hidden)
    (root / "src").mkdir()
    (root / "src" / "library.py").write_text("ONE = 1\n")
    write_lab(root)
    return root
