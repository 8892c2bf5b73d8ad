"""`workshop build`: write the notebooks, or prove that they are fresh."""

from pathlib import Path

import click

from sparrow.language import _

__all__ = ["build"]


@click.command()
@click.argument("labs", nargs=-1)
@click.option("--check", is_flag=True, help="Change nothing; fail if any is stale.")
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    help="The course folder; this checkout by default.",
)
def build(labs: tuple[str, ...], check: bool, root: Path | None) -> None:
    """Make the notebooks of LABS (all of them by default) from solutions/*.md."""
    from workshop.build import source
    from workshop.build.failures import SourceError, StaleError

    root = root or source.ROOT
    paths = [source.find(name, root) for name in labs or source.names(root) or [""]]
    stale: list[str] = []
    broken: list[str] = []
    for path in paths:
        try:
            _build_one(path, root, check, stale)
        except SourceError as error:  # the other labs are still made
            broken.append(str(error))
    if broken:
        raise SourceError("\n".join(broken))
    _list_all(root, check, stale)
    if not labs and (orphans := _orphans(root)):
        raise StaleError(
            _(
                "Without a source in solutions/: {files}. Remove them, or bring their "
                "sources back.",
                files=", ".join(orphans),
            )
        )
    if stale:
        raise StaleError(
            _("Stale: {files}. Run: workshop build", files=", ".join(stale))
        )


def _build_one(path: Path, root: Path, check: bool, stale: list[str]) -> None:
    """Both notebooks of one lab, or neither."""
    from workshop.build import lint, notebooks, source

    lab = source.read(path)
    lint.check(lab)
    whole = notebooks.full(lab)
    parts = {"solutions": whole, "labs": notebooks.released(whole)}
    texts = {folder: notebooks.text_of(part) for folder, part in parts.items()}
    changed = [
        _write(root, f"{folder}/{lab.name}/{lab.name}.ipynb", text, check, stale)
        for folder, text in texts.items()
    ]
    if any(changed) and (count := lint.long_cells(lab)):
        click.echo(
            _(
                "{lab}: code cells with more than {aim} lines: {count}. Can one be "
                "split?",
                lab=lab.name,
                aim=lint.AIM_LINES,
                count=count,
            ),
            err=True,
        )


def _list_all(root: Path, check: bool, stale: list[str]) -> None:
    """The list of all labs that the library carries."""
    from workshop.build import notebooks, source

    labs = [source.read(source.find(name, root)) for name in source.names(root)]
    listing = notebooks.catalogue(labs)
    _write(root, "src/sparrow/lab/labs.json", listing, check, stale)


def _orphans(root: Path) -> list[str]:
    """Built notebooks whose source is gone."""
    from workshop.build import source

    known = source.names(root)
    built = [
        *root.glob("labs/*/*.ipynb"),
        *root.glob("solutions/*/*.ipynb"),
    ]
    return sorted(
        path.relative_to(root).as_posix()
        for path in built
        if path.parent.name not in known
    )


def _write(root: Path, name: str, text: str, check: bool, stale: list[str]) -> bool:
    """Write one file if it differs, or note that it does; whether it was written."""
    from sparrow.runtime import atomic_write

    path, data = root / name, text.encode()
    if path.is_file() and path.read_bytes() == data:
        return False
    if check:
        stale.append(name)
        return False
    with atomic_write(path) as file:
        file.write(data)
    click.echo(name)
    return True
