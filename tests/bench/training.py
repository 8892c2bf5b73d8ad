"""Pretraining as a user does it, beside transformers' Trainer, on the same rows."""

import statistics
import tempfile
import time
from typing import Any

import torch

from sparrow import Config, Sparrow, runtime
from sparrow.cost.measure import matmul_rate
from sparrow.cost.training import training_flops_per_token
from sparrow.data.packing import Packed
from sparrow.data.stream import Stream
from sparrow.model.compiled import compile_layers
from sparrow.train.learner import Learner
from sparrow.train.parallel import Team
from sparrow.train.recipe import Recipe
from tests.bench.measure import Result
from tests.bench.model_speed import PEER, pair

ROWS, LENGTH, STEPS, PAIRS = 32, 256, 6, 7


def pretrain() -> Result:
    """Whole steps: batch, loss, gradients, clipping, AdamW, and the experts' biases.

    Both read the same packed rows. Ours keeps documents apart, which the peer cannot.
    Neither trains MTP, which the peer has not.
    """
    config = Config.preset("pico").replace(num_nextn_predict_layers=0)
    ours, peer = pair(config)
    stream = _stream(config)
    learner = _learner(ours, config)
    trainer = _trainer(peer, stream)

    def our_seconds() -> float:
        """Of one step, the median of a few."""
        seconds = []
        for step in range(STEPS):
            started = time.perf_counter()
            learner.learn(stream.batch(step), step)
            seconds.append(time.perf_counter() - started)
        return statistics.median(seconds[1:])

    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    with runtime.fast_matmul() as library:
        our_seconds()  # compiles
        peak = matmul_rate().median
    for _pair in range(PAIRS):
        with runtime.fast_matmul():
            seconds["ours"].append(our_seconds())
        seconds["peer"].append(trainer())
    ratios = [b / a for a, b in zip(seconds["ours"], seconds["peer"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    flops = training_flops_per_token(config, LENGTH) * ROWS * LENGTH
    rate = {
        name: ROWS * LENGTH / statistics.median(each) for name, each in seconds.items()
    }
    return Result(
        name="pretrain",
        what=f"pico pretraining step, {ROWS} rows × {LENGTH} tokens, fp32, AdamW",
        ours=rate["ours"],
        peer=rate["peer"],
        ratio=middle,
        ratio_low=low,
        ratio_high=high,
        unit="tokens/s",
        peer_name=f"{PEER} in transformers.Trainer",
        pairs=PAIRS,
        notes={
            "our_matmul_library": library,
            "matmul_peak_flops_per_s": peak,
            "our_share_of_matmul_peak": flops
            / statistics.median(seconds["ours"])
            / peak,
            "peer_share_of_matmul_peak": flops
            / statistics.median(seconds["peer"])
            / peak,
        },
    )


def _stream(config: Config) -> Stream:
    draw = torch.Generator().manual_seed(3)
    documents = [
        torch.randint(1, config.vocab_size, (int(size),), generator=draw)
        for size in torch.randint(40, 200, (1200,), generator=draw)
    ]
    return Stream(documents, length=LENGTH, batch_size=ROWS, end=0, seed=0)


def _learner(model: Sparrow, config: Config) -> Learner:
    recipe = Recipe(
        model=config,
        length=LENGTH,
        batch_size=ROWS,
        optimizer="adamw",  # as the peer
        compile=True,
    )
    compile_layers(model)
    return Learner(model.train(), recipe, Team(0, 1, torch.device("cpu")))


def _trainer(model: Any, stream: Stream) -> Any:
    """A function that trains for some steps and gives the median seconds of one."""
    import transformers

    seconds: list[float] = []

    class Clock(transformers.TrainerCallback):  # type: ignore[misc]
        """Counts from the end of one step to the end of the next: all that it costs."""

        def __init__(self) -> None:
            self.last = 0.0

        def on_step_end(self, *_told: object, **_more: object) -> None:
            now = time.perf_counter()
            if self.last:
                seconds.append(now - self.last)
            self.last = now

        def on_train_begin(self, *_told: object, **_more: object) -> None:
            self.last = 0.0

    def rows() -> list[dict[str, torch.Tensor]]:
        found = []
        for step in range(STEPS):
            batch: Packed = stream.batch(step)
            found += [{"input_ids": row, "labels": row} for row in batch.tokens]
        return found

    def run() -> float:
        seconds.clear()
        with tempfile.TemporaryDirectory() as folder:
            arguments = transformers.TrainingArguments(
                folder,
                per_device_train_batch_size=ROWS,
                max_steps=STEPS,
                learning_rate=3e-3,
                weight_decay=0.1,
                adam_beta2=0.95,
                max_grad_norm=1.0,
                report_to=[],
                save_strategy="no",
                logging_strategy="no",
                disable_tqdm=True,
                use_cpu=True,
            )
            trainer = transformers.Trainer(
                model, arguments, train_dataset=rows(), callbacks=[Clock()]
            )
            trainer.train()
        return statistics.median(seconds)

    return run
