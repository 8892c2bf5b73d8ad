"""`sparrow serve`: answer many people at once, as OpenAI's API does."""

import asyncio
import gc
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparrow.cli.models import model_flag, opened
from sparrow.errors import UsageError
from sparrow.language import _

if TYPE_CHECKING:
    from sparrow.serve.api import Api

__all__ = ["serve"]


@click.command()
@model_flag
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="127.0.0.1: this machine alone; 0.0.0.0: everybody who can reach it.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Default: 8000, or the next free one; 0: any that is free.",
)
@click.option(
    "--cache-mib",
    default=512,
    show_default=True,
    help="Memory for what requests have read and written.",
)
@click.option("--max-batch", default=256, show_default=True, help="Run at a time.")
@click.option("--max-waiting", default=1024, show_default=True, help="Wait at most.")
@click.option("--token-budget", default=1024, show_default=True, help="Of one step.")
@click.option(
    "--speculation",
    type=click.Choice(["none", "ngram", "mtp"]),
    default="none",
    show_default=True,
    help="Guess tokens ahead: from the text itself, or with the model's MTP module.",
)
@click.option(
    "--grace-s",
    default=30.0,
    show_default=True,
    help="When told to end, wait so long for answers that are being written.",
)
def serve(
    name: str,
    host: str,
    port: int | None,
    cache_mib: int,
    max_batch: int,
    max_waiting: int,
    token_budget: int,
    speculation: str,
    grace_s: float,
) -> None:
    """Serve a model by HTTP, with a chat page; prints its address."""
    try:
        from sparrow.serve.http import make_app
        from sparrow.serve.server import Server, listen
    except ModuleNotFoundError as error:
        raise UsageError(
            _(
                "serving needs {package}: run  pip install 'sparrow-workshop[serve]'",
                package=error.name,
            )
        ) from error

    # First the port: loading a model takes longer than saying no.
    with listen(host, port) as socket:
        api = _load(
            name,
            cache_mib,
            max_batch=max_batch,
            max_waiting=max_waiting,
            token_budget=token_budget,
            speculation=speculation,
        )
        found = socket.getsockname()
        name_in_url = f"[{found[0]}]" if ":" in found[0] else found[0]
        address = f"http://{name_in_url}:{found[1]}"
        click.echo(address)
        _say_what_it_means(api, host, address)
        server = Server(make_app(api), api.worker, grace_s=grace_s)
        # What is loaded now stays for good. To look through it for garbage, now and
        # then, would make everybody wait for 80 ms in the middle of their answers.
        gc.collect()
        gc.freeze()
        asyncio.run(server.serve([socket]))
    click.echo(_("Closed; everything that had begun is finished."), err=True)


def _load(name: str, cache_mib: int, **settings: object) -> "Api":
    """The model, its engine, and its API."""
    from sparrow.model.cache import bytes_per_token
    from sparrow.serve import Engine, EngineSettings
    from sparrow.serve.api import Api
    from sparrow.serve.worker import Worker

    model, tokenizer = opened(name)
    size = EngineSettings().block_size
    block_bytes = size * bytes_per_token(model.config, model.dtype.itemsize)
    blocks = cache_mib * 2**20 // block_bytes
    if blocks < 2:
        raise UsageError(
            _(
                "--cache-mib {got} has room for fewer than two blocks of {size} "
                "tokens; give more.",
                got=cache_mib,
                size=size,
            )
        )
    end = model.config.eos_token_id
    engine = Engine(
        model,
        settings=EngineSettings(blocks=blocks, **settings),  # type: ignore[arg-type]
        end_ids=() if end is None else (end,),
    )
    known = name if not Path(name).is_dir() else Path(name).resolve().name
    return Api(known, tokenizer, Worker(engine), longest=engine.longest)


def _say_what_it_means(api: "Api", host: str, address: str) -> None:
    """How to use it, and who can."""
    click.echo(
        _(
            "Serving {model}. Open {address} in a browser, or use any client of "
            "OpenAI's API with base_url={address}/v1. Ctrl-C ends.",
            model=api.model,
            address=address,
        ),
        err=True,
    )
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    if not is_local:
        click.echo(
            _(
                "Attention: everybody who can reach this machine can use the model, "
                "without a password, and what they write travels unencrypted. Do this "
                "only in a network that you trust; 127.0.0.1 keeps it to yourself."
            ),
            err=True,
        )
