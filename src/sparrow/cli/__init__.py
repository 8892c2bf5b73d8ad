"""The learner's command: `sparrow pretrain`, `sft`, `grpo`, `evaluate`, `chat`."""

import click

from sparrow.cli.group import LazyGroup

__all__ = ["main"]


@click.group(
    cls=LazyGroup,
    commands_at={
        "assets": "sparrow.cli.assets:assets",
        "pretrain": "sparrow.cli.pretrain:pretrain",
        "sft": "sparrow.cli.sft:sft",
        "grpo": "sparrow.cli.grpo:grpo",
        "distill": "sparrow.cli.distill:distill",
        "evaluate": "sparrow.cli.evaluate:evaluate",
        "reproduce": "sparrow.cli.reproduce:reproduce",
        "serve": "sparrow.cli.serve:serve",
        "serve-bench": "sparrow.cli.serve_bench:serve_bench",
        "quantize": "sparrow.cli.quantize:quantize",
        "chat": "sparrow.cli.chat:chat",
        "cost": "sparrow.cli.cost:cost",
    },
)
@click.version_option(package_name="sparrow-workshop")
def main() -> None:
    """A small reasoning model, whole: build it, train it, talk to it."""
