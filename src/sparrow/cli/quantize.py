"""The `sparrow quantize` command: fewer bytes, and a report of what that costs."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparrow.language import _

if TYPE_CHECKING:
    from torch import Tensor

    from sparrow import Sparrow
    from sparrow.evaluate.intervals import Interval
    from sparrow.evaluate.quantized import Measured, Row
    from sparrow.evaluate.texts import Text
    from sparrow.quant import Scheme
    from sparrow.quant.convert import Progress
    from sparrow.text import Tokenizer
    from sparrow.verify import Problem

__all__ = ["quantize"]

TEMPLATE = "chat_template.jinja"


@click.command()
@click.option(
    "--model",
    "name",
    required=True,
    help="A model that travels with the package, an asset, or a checkpoint folder.",
)
@click.option(
    "--scheme",
    "schemes",
    multiple=True,
    required=True,
    help="int8, int8-dynamic, int4, gptq-int4, awq-int4 or fp8-block; several times: "
    "one folder each, and one report.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write.",
)
@click.option("--group-size", type=int, help="Weights that share a scale.")
@click.option(
    "--symmetric/--asymmetric",
    default=None,
    help="A grid around zero, or from the lowest to the highest weight.",
)
@click.option(
    "--beam",
    type=int,
    default=1,
    show_default=True,
    metavar="N",
    help="Ways to round a row that gptq keeps side by side; more take longer.",
)
@click.option(
    "--text",
    "source",
    type=click.Path(path_type=Path),
    help="A file or folder of text to calibrate with and to measure on "
    "(default: the kit's own).",
)
@click.option(
    "--calibration-rows",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Rows of 256 tokens that gptq and awq look at.",
)
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Rows of 256 tokens that perplexity is measured on.",
)
@click.option(
    "--problems",
    type=click.IntRange(min=0),
    default=200,
    show_default=True,
    help="Held-out questions, for a model that learned to answer them.",
)
@click.option(
    "--report/--no-report",
    default=True,
    show_default=True,
    help="Measure the quantized model beside the original.",
)
def quantize(
    name: str,
    schemes: tuple[str, ...],
    out: Path,
    group_size: int | None,
    symmetric: bool | None,
    beam: int,
    source: Path | None,
    calibration_rows: int,
    rows: int,
    problems: int,
    report: bool,
) -> None:
    """Keep a model in fewer bits, and say what that costs."""
    # Late: torch takes a second to import, and --help should not wait for it.
    from sparrow import quant
    from sparrow.evaluate import quantized
    from sparrow.evaluate import texts as reading
    from sparrow.model import named
    from sparrow.text import Tokenizer

    chosen = {each: _scheme(each, group_size, symmetric, beam) for each in schemes}
    folder = named.folder_of(name)
    model, tokenizer = quant.open_model(folder).float().eval(), Tokenizer(folder)
    texts = _Texts(model, tokenizer, source)
    calibration = None
    if any(each.needs_calibration for each in chosen.values()):
        _say(_("Gathering text to calibrate with …"))
        calibration = texts.calibration(calibration_rows)
    weights = model.count_parameters()
    task = reading.task_of(problems) if texts.is_trained else []
    text, original = None, None
    found: list[Row] = []
    for label, scheme in chosen.items():
        where = out / label if len(chosen) > 1 else out
        with _bar(label) as progress:
            made = quant.quantize(model, scheme, calibration, progress=progress)
        quant.save(made, where)
        _copy_tokenizer(folder, tokenizer, where)
        _say(_("Wrote {folder}.", folder=where))
        if not report:
            continue
        if text is None or original is None:
            text = texts.held_out(rows)
            original = _measured("fp32", model, tokenizer, text, task)
        measured = _measured(label, made, tokenizer, text, task)
        found.append(quantized.compare(label, measured, original, weights))
    if original is not None:
        whole = quantized.compare("fp32", original, original, weights)
        _show(name, whole, found)
        _keep(out / "report.json", name, [whole, *found])


class _Texts:
    """What the model is calibrated with, and what it is measured on."""

    def __init__(
        self, model: "Sparrow", tokenizer: "Tokenizer", source: Path | None
    ) -> None:
        from sparrow.data import corpus
        from sparrow.evaluate import texts as reading

        self.model, self.tokenizer = model, tokenizer
        self.is_trained = reading.answers_questions(model, tokenizer)
        self.own = None if source is None else corpus.build(source)

    def calibration(self, rows: int) -> "Tensor":
        """From the side that is open to training."""
        from sparrow.evaluate import texts as reading

        if self.own is None:
            return reading.calibration_text(
                self.model, self.tokenizer, rows, is_trained=self.is_trained
            )
        return reading.rows_of(self.model, self.tokenizer, self.own.train, rows)

    def held_out(self, rows: int) -> "Text":
        """From the other side."""
        from sparrow.evaluate import texts as reading

        if self.own is None:
            return reading.held_out_text(
                self.model, self.tokenizer, rows, is_trained=self.is_trained
            )
        text = self.own.held_out["text"]
        ids = reading.rows_of(self.model, self.tokenizer, text, rows)
        return reading.Text.whole(ids)


def _scheme(
    name: str, group_size: int | None, symmetric: bool | None, beam: int
) -> "Scheme":
    """The scheme of a name, with what the flags change."""
    from sparrow.quant import scheme

    found = replace(scheme.find(name), beam=beam)
    if group_size is not None:
        found = replace(found, group_size=group_size)
    return found if symmetric is None else replace(found, symmetric=symmetric)


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


@contextmanager
def _bar(label: str) -> "Iterator[Progress]":
    """How many layers are done, on stderr."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    with Bars(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _copy_tokenizer(source: Path, tokenizer: "Tokenizer", target: Path) -> None:
    """So that the new folder is a whole checkpoint."""
    tokenizer.save(target)
    if (source / TEMPLATE).exists():
        shutil.copy(source / TEMPLATE, target)


def _measured(
    label: str,
    model: "Sparrow",
    tokenizer: "Tokenizer",
    text: "Text",
    task: "list[Problem]",
) -> "Measured":
    from sparrow.evaluate import quantized

    _say(
        _(
            "{model} reads {tokens} tokens and answers {n} questions …",
            model=label,
            tokens=int(text.counts.sum()),
            n=len(task),
        )
    )
    return quantized.measure(model, tokenizer, text, task)


def _show(name: str, whole: "Row", found: "list[Row]") -> None:
    """The table, and in words what can be told apart."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from sparrow.evaluate import quantized

    table = Table(title=name, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column(_("scheme"), no_wrap=True)
    titles = [_("MB"), _("bits"), _("perplexity"), _("change, %")]
    if has_task := whole.accuracy is not None:
        titles += [_("right"), _("change, %")]
    for title in titles:
        table.add_column(title, justify="right")
    for row in (whole, *found):
        is_first, change = row is whole, row.perplexity_change
        cells = [
            f"{row.bytes / 1e6:.2f}",
            f"{row.bits_a_weight:.2f}",
            f"{row.perplexity:.3f}",
            "" if is_first else _span(change, 2),
        ]
        if has_task and row.accuracy is not None and row.accuracy_change is not None:
            step = row.accuracy_change
            cells += [
                f"{row.accuracy.estimate:.1%}",
                "" if is_first else _span(step, 1),
            ]
        table.add_row(row.scheme, *cells)
    Console().print(table)
    for row in found:
        click.echo(quantized.verdict(row))


def _span(change: "Interval", digits: int) -> str:
    """Both ends of a 95 % interval, in percent."""
    return f"{100 * change.low:+.{digits}f} … {100 * change.high:+.{digits}f}"


def _keep(path: Path, name: str, rows: "list[Row]") -> None:
    """The same figures for other programs."""
    from sparrow import runtime

    made = {"model": name, "rows": [asdict(each) for each in rows]}
    with runtime.atomic_write(path) as file:
        file.write(json.dumps(made, indent=1).encode() + b"\n")
