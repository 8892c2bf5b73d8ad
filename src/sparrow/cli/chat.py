"""`sparrow chat`: talk to a model, and see each token as it comes."""

import time

import click

from sparrow.cli.models import model_flag, opened
from sparrow.language import _

__all__ = ["chat"]


@click.command()
@model_flag
@click.option("--prompt", help="Ask this once, print the answer, and end.")
@click.option("--system", help="How the assistant should behave.")
@click.option("--max-new-tokens", default=256, show_default=True)
@click.option("--temperature", default=0.6, show_default=True)
@click.option("--top-p", default=0.95, show_default=True)
@click.option("--seed", default=0, show_default=True)
def chat(
    name: str,
    prompt: str | None,
    system: str | None,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
) -> None:
    """Talk to a model, token by token. An empty line or Ctrl-D ends."""
    # Late: torch takes a second to import, and --help should not wait for it.
    from sparrow import runtime
    from sparrow.talk import Conversation

    model, tokenizer = opened(name)
    talk = Conversation(
        model,
        tokenizer,
        system=system,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        generator=runtime.generator(seed, model.device),
    )
    if prompt is not None:
        _answer(talk, prompt)
        return
    click.echo(_("Write to {name}. An empty line ends.", name=name), err=True)
    while question := _read():
        _answer(talk, question)


def _read() -> str:
    """One line from the person, or nothing at the end."""
    try:
        line: str = click.prompt("›", default="", show_default=False, prompt_suffix=" ")
    except click.Abort:
        return ""
    return line.strip()


def _answer(talk: "Conversation", question: str) -> None:  # type: ignore[name-defined] # noqa: F821
    """Print the answer as it comes, then how fast it came."""
    started = time.perf_counter()
    for piece in talk.ask(question):
        click.echo(piece, nl=False)
    seconds = time.perf_counter() - started
    click.echo()
    click.echo(
        _(
            "({tokens} tokens, {rate:.0f} tokens/s)",
            tokens=talk.last_tokens,
            rate=talk.last_tokens / seconds,
        ),
        err=True,
    )
