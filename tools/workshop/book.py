"""Make the book's website from its pages and the finished labs, without a network."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from sparrow.language import _
from workshop import lab_pages, page_audit, reference
from workshop.lab_pages import BookError

__all__ = ["book", "build"]

FIRST_PAGE_KB = 150
LABS_CAPTION = "Labs"
ENGINE = "from jupyter_book.cli.main import main; main()"
OPTIONS = ("-W", "--nitpick", "--keep-going")  # every warning is an error


@click.command()
@click.option(
    "--check", is_flag=True, help="Then read every page; findings exit with 1."
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The project's folder (default: this one).",
)
def book(check: bool, root: Path) -> None:
    """Build the book into book/_build/html."""
    html = build(root)
    click.echo(_("The book is in {path}.", path=html / "index.html"), err=True)
    if not check:
        return
    findings = page_audit.audit(html)
    first_kb = page_audit.weight_bytes(html / "index.html") / 1000
    if first_kb > FIRST_PAGE_KB:
        findings.append(
            _(
                "The first page weighs {kb} KB; at most {limit} are allowed.",
                kb=round(first_kb),
                limit=FIRST_PAGE_KB,
            )
        )
    for each in findings:
        click.echo(each)
    if findings:
        raise SystemExit(1)
    click.echo(
        _(
            "Read {n} pages: nothing loads from another host, every link inside has a "
            "target; the first page weighs {kb} KB.",
            n=len(list(html.rglob("*.html"))),
            kb=round(first_kb, 1),
        ),
        err=True,
    )


def build(root: Path) -> Path:
    """Build the website; the old one stays until the new one is whole.

    Args:
        root: the folder that holds `book/`, `labs/`, `solutions/` and `src/`.

    Returns:
        The folder of the website.

    Raises:
        BookError: there is no book here, a lab does not run, or a page has a warning.
    """
    root = root.resolve()
    if not (root / "book" / "_config.yml").is_file():
        raise BookError(
            _(
                "There is no book in {root}: run this in the project's folder, or name "
                "it with --root.",
                root=root,
            )
        )
    place = root / "book" / "_build"
    labs = lab_pages.find_labs(root)
    _stage(root, place / "source", labs)
    fresh = _run_engine(place)
    for lab in labs:
        target = fresh / "notebooks" / lab.learner.name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(lab.learner, target)
    html = place / "html"
    shutil.rmtree(html, ignore_errors=True)
    fresh.rename(html)
    shutil.rmtree(place / "next", ignore_errors=True)
    return html


def _stage(root: Path, source: Path, labs: list[lab_pages.Lab]) -> None:
    """Copy the written pages, and add those that are made of labs and code."""
    import nbformat
    import yaml

    shutil.rmtree(source, ignore_errors=True)
    hidden = shutil.ignore_patterns("_build", "__pycache__", ".*")
    shutil.copytree(root / "book", source, ignore=hidden)
    sources = _hash_of_sources(root / "src")
    (source / "labs").mkdir(exist_ok=True)
    for lab in labs:
        click.echo(_("Lab {lab} …", lab=lab.name), err=True)
        finished = _finished(lab, sources, root / "book/_build/.cache")
        shown = lab_pages.page(lab, finished)
        path = source / "labs" / lab.learner.name
        path.write_text(nbformat.writes(shown), "utf-8")
    reference.write(source / "reference", root)
    contents = source / "_toc.yml"
    table = yaml.safe_load(contents.read_text("utf-8"))
    _add_labs(table, labs)
    contents.write_text(yaml.safe_dump(table, sort_keys=False), "utf-8")


def _finished(lab: lab_pages.Lab, sources: str, cache: Path) -> Any:
    """The lab's run; without its outputs where real weights cannot be had offline."""
    try:
        return lab_pages.executed(lab, sources, cache)
    except lab_pages.WeightsMissingError as error:
        click.echo(
            _(
                "Its page shows no outputs: {reason} Build again with a network.",
                reason=error,
            ),
            err=True,
        )
        return lab_pages.read_notebook(lab.full)


def _add_labs(table: dict[str, Any], labs: list[lab_pages.Lab]) -> None:
    """List the labs in the part of the contents that is theirs."""
    for part in table["parts"]:
        if part.get("caption") == LABS_CAPTION:
            part["chapters"] += [{"file": f"labs/{lab.name}"} for lab in labs]


def _hash_of_sources(src: Path) -> str:
    """One hash of all the library's files, their names included."""
    digest = hashlib.sha256()
    for path in sorted(src.rglob("*.py")):
        digest.update(path.relative_to(src).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _run_engine(place: Path) -> Path:
    """Run Jupyter Book on the staged source; return the folder of its pages.

    It has no documented way to be called from Python, so it is a process of its own.
    """
    following = place / "next"
    shutil.rmtree(following, ignore_errors=True)
    arguments = ["build", str(place / "source"), "--path-output", str(following)]
    finished = subprocess.run(
        [sys.executable, "-c", ENGINE, *arguments, *OPTIONS],
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named 'jupyter_book'" in finished.stderr:
        raise BookError(
            _('Jupyter Book is not installed: run pip install -e ".[labs]" first.')
        )
    if finished.returncode:
        raise BookError(
            _(
                "Jupyter Book stopped; mend these and build again:\n{lines}",
                lines=_complaints(finished.stdout + finished.stderr, place / "source"),
            )
        )
    return following / "_build" / "html"


def _complaints(output: str, source: Path) -> str:
    """The lines that say what is wrong, without the staging folder in front."""
    lines = [
        line.replace(f"{source}/", "")
        for line in click.unstyle(output).splitlines()
        if any(word in line for word in ("WARNING", "ERROR", "Error", "error:"))
    ]
    return "\n".join(lines or output.splitlines()[-5:])
