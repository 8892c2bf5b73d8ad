"""The `sparrow evaluate` command: how good a model is, and how sure we may be of it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparrow.language import _

if TYPE_CHECKING:
    from sparrow.cli.questions import Questions
    from sparrow.evaluate.report import Comparison, Figure

__all__ = ["evaluate"]

SAME_FOR_ALL = 20_250_120  # the questions that `sparrow grpo` asks in its exams


@click.command()
@click.option(
    "--model",
    required=True,
    help="A model that travels with the package, an asset, or a checkpoint folder.",
)
@click.option(
    "--compare", "other", help="Ask this model the same, and tell the difference."
)
@click.option(
    "--family",
    default="countdown",
    show_default=True,
    help="countdown, or a family of reasoning-gym: gym:bf, gym:syllogism, …",
)
@click.option("--problems", default=200, show_default=True)
@click.option(
    "--numbers", default=3, show_default=True, help="Countdown: numbers a problem."
)
@click.option(
    "--largest", default=12, show_default=True, help="Countdown: the largest number."
)
@click.option(
    "--held-out/--no-held-out",
    default=True,
    show_default=True,
    help="Problems that training never meets, or those that it may.",
)
@click.option(
    "--samples", default=1, show_default=True, help="Answers to each problem."
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    help="0 is greedy (default: 0 for one sample, 1 for several).",
)
@click.option("--max-new-tokens", default=192, show_default=True)
@click.option(
    "--form",
    type=click.Choice(["tags", "line"]),
    default="tags",
    show_default=True,
    help="tags: a thought and an answer; line: the rest of a line, for a base model.",
)
@click.option("--seed", default=0, show_default=True, help="Of what is sampled.")
@click.option(
    "--problem-seed",
    default=SAME_FOR_ALL,
    show_default=True,
    help="Decides which problems; the same for all models.",
)
@click.option(
    "--json",
    "path",
    type=click.Path(path_type=Path),
    help="Write the figures and all completions to this file.",
)
def evaluate(
    model: str,
    other: str | None,
    path: Path | None,
    temperature: float | None,
    **values: Any,
) -> None:
    """Ask problems with known answers; each figure comes with its interval and n."""
    # Late: torch takes a second to import, and --help should not wait for it.
    from sparrow import runtime
    from sparrow.cli.questions import Questions
    from sparrow.evaluate import report
    from sparrow.model import named

    if temperature is None:
        temperature = 0.0 if values["samples"] == 1 else 1.0
    questions = Questions(temperature=temperature, **values)
    problems = questions.drawn()
    names = [model] if other is None else [model, other]
    for name in names:
        named.folder_of(name)  # a wrong name is said before the first waits
    answers, figures = [], []
    for name in names:
        _say_who(name, questions)
        answers.append(questions.ask(name, problems))
        figures.append(report.figures(answers[-1], runtime.generator(questions.seed)))
        _print_figures(name, figures[-1])
    comparison = None
    if other is not None:
        draw = runtime.generator(questions.seed)
        comparison = report.compare(answers[0], answers[1], draw)
        _print_comparison(names, comparison)
    if path is not None:
        made = {
            "settings": asdict(questions),
            "models": [
                {
                    "model": name,
                    "figures": {each.name: asdict(each.interval) for each in told},
                    "completions": report.records(written),
                }
                for name, written, told in zip(names, answers, figures, strict=True)
            ],
            "comparison": None if comparison is None else asdict(comparison),
        }
        with runtime.atomic_write(path) as file:
            file.write(json.dumps(made, ensure_ascii=False, indent=1).encode())


def _say_who(name: str, questions: "Questions") -> None:
    """What is going on, as it may take minutes."""
    click.echo(
        _(
            "{model} answers {n} problems, {samples} times each …",
            model=name,
            n=questions.problems,
            samples=questions.samples,
        ),
        err=True,
    )


def _print_figures(name: str, figures: "list[Figure]") -> None:
    """One table a model."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=name, title_justify="left")
    table.add_column(_("figure"), no_wrap=True)
    table.add_column(_("what it is"))
    for title in (_("measured"), _("95 % interval"), _("n")):
        table.add_column(title, justify="right", no_wrap=True)
    for each in figures:
        form = ".3f" if each.is_share else ".1f"
        found = each.interval
        table.add_row(
            each.name,
            each.about,
            f"{found.estimate:{form}}",
            f"{found.low:{form}} – {found.high:{form}}",
            str(found.n),
        )
    Console().print(table)


def _print_comparison(names: list[str], comparison: "Comparison") -> None:
    """Whether the difference may be chance."""
    found = comparison.difference
    click.echo(
        _(
            "{first} minus {second}: {difference:+.3f}, 95 % interval {low:+.3f} to "
            "{high:+.3f}, over the same {n} problems.",
            first=names[0],
            second=names[1],
            difference=found.estimate,
            low=found.low,
            high=found.high,
            n=found.n,
        )
    )
    if (test := comparison.mcnemar) is not None:
        click.echo(
            _(
                "Only {first} is right: {only_a}; only {second} is right: {only_b}; "
                "McNemar's exact test: p = {p:.3g}.",
                first=names[0],
                second=names[1],
                only_a=test.only_a,
                only_b=test.only_b,
                p=test.p_value,
            )
        )
