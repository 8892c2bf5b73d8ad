"""`workshop build`: write the notebooks, or prove that they are fresh."""

from pathlib import Path

import click

from sparrow.language import _

__all__ = ["build"]


@click.command()
@click.argument("labs", nargs=-1)
@click.option("--check", is_flag=True, help="Change nothing; fail if any is stale.")
def build(labs: tuple[str, ...], check: bool) -> None:
    """Make the notebooks of LABS (all of them by default) from solutions/*.md."""
    from workshop.build import lint, notebooks, source
    from workshop.build.failures import SourceError, StaleError

    stale: list[str] = []
    broken: list[str] = []
    for name in labs or source.names():
        try:
            lab = source.read(source.find(name))
            lint.check(lab)
            whole = notebooks.full(lab)
        except SourceError as error:  # the other labs are still made
            broken.append(str(error))
            continue
        texts = {
            source.ROOT / "solutions" / name / f"{name}.ipynb": whole,
            source.ROOT / "labs" / name / f"{name}.ipynb": notebooks.released(whole),
        }
        for path, notebook in texts.items():
            _write(path, notebooks.text_of(notebook), check, stale)
    listing = notebooks.catalogue(
        [source.read(source.find(each)) for each in source.names()]
    )
    _write(source.ROOT / "src/sparrow/lab/labs.json", listing, check, stale)
    if broken:
        raise SourceError("\n".join(broken))
    if stale:
        raise StaleError(
            _("Stale: {files}. Run: workshop build", files=", ".join(stale))
        )


def _write(path: Path, text: str, check: bool, stale: list[str]) -> None:
    """Write one notebook if it differs, or note that it does."""
    from sparrow.runtime import atomic_write
    from workshop.build.source import ROOT

    data = text.encode()
    if path.exists() and path.read_bytes() == data:
        return
    name = str(path.relative_to(ROOT))
    if check:
        stale.append(name)
        return
    with atomic_write(path) as file:
        file.write(data)
    click.echo(name)
