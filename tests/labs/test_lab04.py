"""The checks of lab 04 refuse likely mistakes, and accept what is written otherwise."""

import contextlib
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sparrow import runtime
from sparrow.checks.lab04 import survived
from sparrow.data import packing
from sparrow.data.packing import IGNORED, Packed, places_since
from tests.labs import harness
from tests.labs.harness import Left, Mutant, patched

PACK = "sparrow.data.packing:pack"
MASK = "sparrow.data.packing:attention_mask"
RATE = "sparrow.train.schedule:learning_rate"
WRITE = "sparrow.train.state:write_whole"
KEEP = "sparrow.train.state:capture"


# ---- 4.1: a guess ----

WRONG_GUESSES = [
    Mutant("untouched", None, "no guess yet"),
    Mutant("text", "3", "got str"),
    Mutant("negative", -1, "more than zero"),
    Mutant("nothing at all", 0, "more than zero"),
    Mutant("for ever", math.inf, "not infinite"),
]


# ---- 4.2: pack ----


def pack_by_hand(documents: Sequence[Any], length: int, end: int) -> Packed:
    """Plain lists, and tensors at the end."""
    line: list[tuple[int, int, int]] = []
    for number, document in enumerate(documents):
        tokens = [*document, end]
        targets = [*tokens[1:], IGNORED]
        line += [(t, n, number) for t, n in zip(tokens, targets, strict=True)]
    number = len(documents)
    while len(line) % length:
        line.append((end, IGNORED, number))
        number += 1
    tokens, targets, document = (
        torch.tensor([each[k] for each in line]).view(-1, length) for k in range(3)
    )
    return Packed(tokens, targets, places_since(document), document)


def pack_by_ends(documents: Sequence[Any], length: int, end: int) -> dict[str, Tensor]:
    """Each piece by itself, joined; a dictionary will do."""
    closed = [torch.tensor([*each, end]) for each in documents]
    closed += [torch.tensor([end])] * (-sum(map(len, closed)) % length)
    tokens = torch.cat(closed).view(-1, length)
    targets = torch.cat(
        [torch.cat((each[1:], torch.tensor([IGNORED]))) for each in closed]
    )
    numbers = chain.from_iterable([n] * len(each) for n, each in enumerate(closed))
    document = torch.tensor(list(numbers)).view(-1, length)
    return {
        "tokens": tokens,
        "targets": targets.view(-1, length),
        "positions": places_since(document),
        "document": document,
    }


def changed(**changes: Callable[[Packed], Tensor]) -> Callable[..., Packed]:
    """The right answer with some fields replaced."""

    def answer(**given: Any) -> Packed:
        packed = packing.pack(**given)
        return Packed(
            **{**vars(packed), **{name: make(packed) for name, make in changes.items()}}
        )

    return answer


WRONG_PACKS = [
    Mutant(
        "predicts across documents",
        patched(PACK, ".where(number[1:] == number[:-1], IGNORED)", ""),
        "of another document",
        earns=0.6,
    ),
    Mutant(
        "no target at the cut",
        changed(
            targets=lambda p: torch.cat(
                (p.targets[:, :-1], torch.full_like(p.targets[:, -1:], IGNORED)), 1
            )
        ),
        "last token of a row",
        earns=0.6,
    ),
    Mutant(
        "a token is its own target",
        patched(PACK, "line[1:].where", "line[:-1].where"),
        "its own target",
        earns=0.6,
    ),
    Mutant(
        "the last token predicts the first",
        patched(
            PACK,
            "targets[:-1] = line[1:].where(number[1:] == number[:-1], IGNORED)",
            "targets = line.roll(-1).where(number.roll(-1) == number, IGNORED)",
        ),
        "predicts the first one",
        earns=0.6,
    ),
    Mutant(
        "the end is not predicted",
        changed(targets=lambda p: p.targets.masked_fill(p.targets == 0, IGNORED)),
        "has to be predicted too",
        earns=0.6,
    ),
    Mutant(
        "zero for nothing",
        changed(targets=lambda p: p.targets.clamp(min=0)),
        "the target is IGNORED",
        earns=0.6,
    ),
    Mutant(
        "positions of the row",
        changed(
            positions=lambda p: torch.arange(p.tokens.shape[1]).expand_as(p.tokens)
        ),
        "begin at 0 again",
        earns=0.7,
    ),
    Mutant(
        "positions count on over the cut",
        changed(
            positions=lambda p: places_since(p.document.view(1, -1)).view_as(p.document)
        ),
        "In a new row",
        earns=0.7,
    ),
    Mutant(
        "documents are not closed",
        patched(
            PACK,
            "(torch.as_tensor(each).long(), closing)",
            "(torch.as_tensor(each).long(),)",
        ),
    ),
    Mutant(
        "the rest is thrown away",
        lambda **given: Packed(
            *(each[:-1] for each in vars(packing.pack(**given)).values())
        ),
    ),
    Mutant(
        "the end is a document of its own",
        patched(
            PACK,
            "torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))",
            "(line == end).cumsum(0)",
        ),
        "still belongs to it",
    ),
    Mutant(
        "the filling is one document",
        changed(
            document=lambda p: p.document.clamp(
                max=int(p.document[p.targets != IGNORED].max()) + 1
                if (p.targets != IGNORED).any()
                else 0
            )
        ),
        earns=0.7,
    ),
    Mutant(
        "only the tokens", lambda **given: packing.pack(**given).tokens, "four tensors"
    ),
    Mutant("nothing", lambda **_given: None, "four tensors"),
]


# ---- 4.3: attention_mask ----


def mask_by_loops(document: Tensor) -> Tensor:
    """Pair by pair."""
    rows, tokens = document.shape
    mask = torch.zeros(rows, 1, tokens, tokens, dtype=torch.bool)
    for row in range(rows):
        for query in range(tokens):
            for key in range(query + 1):
                mask[row, 0, query, key] = document[row, query] == document[row, key]
    return mask


def mask_by_places(document: Tensor) -> Tensor:
    """Differences of numbers, and of places."""
    apart = document.unsqueeze(2) - document.unsqueeze(1)
    place = torch.arange(document.shape[1])
    ahead = place[None, :] > place[:, None]
    return ((apart == 0) & ~ahead)[:, None]


WRONG_MASKS = [
    Mutant("looks ahead", patched(MASK, "same & causal", "same"), "looks ahead"),
    Mutant(
        "looks into others",
        patched(MASK, "same & causal", "causal.expand_as(same)"),
        "into other documents",
    ),
    Mutant(
        "turned round",
        patched(MASK, "same & causal", "~(same & causal)"),
        "turned round",
    ),
    Mutant("looks ahead only", patched(MASK, ".tril()", ".triu()"), "not back"),
    Mutant("not at itself", patched(MASK, ".tril()", ".tril(-1)"), "at itself"),
    Mutant("one is enough", patched(MASK, "same & causal", "same | causal"), "Both"),
    Mutant(
        "the first row for all",
        lambda document: packing.attention_mask(document)[:1].expand(
            len(document), -1, -1, -1
        ),
        "mask of the first one",
        earns=0.6,
    ),
    Mutant(
        "no axis for the heads",
        lambda document: packing.attention_mask(document).squeeze(1),
        "axis of the heads",
    ),
    Mutant(
        "numbers", lambda document: packing.attention_mask(document).float(), "True and"
    ),
]


# ---- 4.4: learning_rate ----


def rate_by_minimum(
    step: int,
    *,
    peak: float,
    warmup_steps: int,
    decay_steps: int,
    total_steps: int,
    floor: float = 0.0,
) -> float:
    """Two lines, and the lower one counts."""
    up = (step + 1) / warmup_steps if step < warmup_steps else 1.0
    down = min(1.0, (total_steps - step) / decay_steps) if decay_steps else 1.0
    return min(up * peak, floor + down * (peak - floor))


def rate_by_table(step: int, **run: Any) -> float:
    """All rates in a list, and the one that was asked for."""
    peak, floor = run["peak"], run.get("floor", 0.0)
    up = [peak * (n + 1) / run["warmup_steps"] for n in range(run["warmup_steps"])]
    level = run["total_steps"] - run["warmup_steps"] - run["decay_steps"]
    shares = [1 - n / run["decay_steps"] for n in range(run["decay_steps"])]
    down = [floor * (1 - share) + peak * share for share in shares]
    return [*up, *[peak] * level, *down, floor][step]


WRONG_RATES = [
    Mutant("begins at 0", patched(RATE, "(step + 1)", "step"), "rate of 0", earns=0.65),
    Mutant("no warm-up", patched(RATE, "(step + 1) / warmup_steps", "1"), "no warm-up"),
    Mutant(
        "never goes down",
        patched(RATE, "return floor + (peak - floor)", "return peak + 0"),
        "never goes down",
        earns=0.55,
    ),
    Mutant(
        "forgets the floor",
        patched(RATE, "floor + (peak - floor)", "peak"),
        "The line aims at 0",
        earns=0.55,
    ),
    Mutant(
        "cut at the floor",
        patched(
            RATE,
            "floor + (peak - floor) * max(left, 0) / decay_steps",
            "max(peak * max(left, 0) / decay_steps, floor)",
        ),
        "The line aims at 0",
        earns=0.55,
    ),
    Mutant(
        "adds the floor",
        patched(RATE, "(peak - floor) *", "peak *"),
        "above the peak",
        earns=0.55,
    ),
    Mutant(
        "goes up again",
        patched(RATE, "max(left, 0) / decay_steps", "(1 - max(left, 0) / decay_steps)"),
        "goes up again",
        earns=0.55,
    ),
    Mutant(
        "decays over everything",
        patched(RATE, "/ decay_steps", "/ total_steps"),
        "only decay_steps",
        earns=0.55,
    ),
    Mutant(
        "decays from the start",
        patched(RATE, "if left > decay_steps", "if left > total_steps"),
    ),
    Mutant(
        "one step late", patched(RATE, "total_steps - step", "total_steps - step + 1")
    ),
    Mutant("text", lambda **_given: "fast"),
]


# ---- 4.5: write_whole ----


def write_by_tempfile(path: Path, data: bytes) -> None:
    """A name that nobody else has."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            os.unlink(file.name)
            raise
    try:
        Path(file.name).replace(path)
    except OSError:
        os.unlink(file.name)
        raise


def write_by_descriptors(path: Path, data: bytes) -> None:
    """The system's own calls."""
    name = f"{path}.new"
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        try:
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(name, path)
    except BaseException:
        os.remove(name)
        raise


def write_in_place(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def write_elsewhere(path: Path, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / path.name
        with inner.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(inner, path)


def write_in_silence(path: Path, data: bytes) -> None:
    with contextlib.suppress(OSError):
        harness.library.locate(WRITE)[0].write_whole(path, data)


def write_with_the_library(path: Path, data: bytes) -> None:
    with runtime.atomic_write(path) as file:
        file.write(data)


WRONG_FILES = [
    Mutant("in place", write_in_place, "opened for writing"),
    Mutant(
        "no fsync",
        patched(WRITE, "os.fsync(file.fileno())", "pass"),
        "os.fsync",
        earns=0.4,
    ),
    Mutant("no flush", patched(WRITE, "file.flush()", "pass"), "flush", earns=0.7),
    Mutant(
        "renamed too early",
        patched(
            WRITE,
            "            os.fsync(file.fileno())\n        # 3.",
            "            os.replace(temporary, path)\n"
            "            os.fsync(file.fileno())\n            return\n        # 3.",
        ),
        "before the disk has all of it",
    ),
    Mutant(
        "old one removed first",
        patched(WRITE, "os.replace(", "path.unlink(missing_ok=True); os.replace("),
        "gone before",
    ),
    Mutant(
        "never renamed",
        patched(WRITE, "os.replace(temporary, path)", "pass"),
        "renamed",
    ),
    Mutant(
        "leaves it over",
        patched(WRITE, "temporary.unlink(missing_ok=True)", "pass"),
        "left over",
        earns=0.7,
    ),
    Mutant("another folder", write_elsewhere, "another folder", earns=0.6),
    Mutant("tells nobody", write_in_silence, "nobody was told", earns=0.7),
    Mutant("the library's other one", write_with_the_library, "asked to write"),
    Mutant(
        "half of it", patched(WRITE, "write(data)", "write(data[:9])"), "hold the data"
    ),
]


# ---- 4.6: capture ----


def capture_by_hand(model: nn.Module, optimizer: Any) -> dict[str, Tensor]:
    """Parameters and buffers one after the other; the optimizer by parameter."""
    kept = {}
    for name, each in chain(model.named_parameters(), model.named_buffers()):
        kept["model." + name] = torch.clone(each).detach()
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    for number, weight in enumerate(weights):
        for name, each in optimizer.state.get(weight, {}).items():
            kept[f"optimizer.{number}.{name}"] = torch.as_tensor(each).clone()
    kept["generator.cpu"] = torch.random.get_rng_state()
    return kept


def capture_by_copy(model: nn.Module, optimizer: Any) -> dict[str, Tensor]:
    """Deep copies first, names after."""
    import copy

    weights = copy.deepcopy(model.state_dict())
    memory = copy.deepcopy(optimizer.state_dict())["state"]
    return {
        "generator.cpu": torch.get_rng_state(),
        **{f"model.{name}": each for name, each in weights.items()},
        **{
            f"optimizer.{index}.{name}": each
            for index, told in memory.items()
            for name, each in told.items()
        },
    }


WRONG_KEPT = [
    Mutant(
        "no buffers",
        patched(KEEP, "model.state_dict()", "dict(model.named_parameters())"),
        "model.bias",
    ),
    Mutant(
        "weights only",
        patched(KEEP, 'optimizer.state_dict()["state"]', "{}"),
        "no optimizer",
        earns=0.7,
    ),
    Mutant(
        "no generator",
        patched(KEEP, 'tensors["generator.cpu"] =', "_ ="),
        "no generator.cpu",
        earns=0.7,
    ),
    Mutant(
        "the generator after a draw",
        patched(
            KEEP, "torch.get_rng_state()", "(torch.rand(1), torch.get_rng_state())[1]"
        ),
        "other random numbers",
        earns=0.7,
    ),
    Mutant("no copies", patched(KEEP, ".clone()", ""), "keep copies"),
    Mutant(
        "half of the memory",
        patched(KEEP, "torch.as_tensor(value)", "torch.zeros_like(value)"),
        "without a part",
        earns=0.7,
    ),
    Mutant(
        "in half precision",
        patched(
            KEEP, "each.detach().cpu().clone()", "each.detach().to(torch.uint8).clone()"
        ),
    ),
    Mutant("nothing", lambda _model, _optimizer: {}, "There is no"),
]


# ---- 4.7: the file that the lab leaves ----


def left(**changes: Any) -> Left:
    """What the driver would tell of a good file, with some changes."""
    runs = {"alone": [5.0] * 60, "resumed": [5.0] * 60, "equal": True}
    claim = {"mean": 2.0, "low": 2.0 - HALF, "high": 2.0 + HALF}
    told = {**runs, "weights": "", "bits": [1.9, 2.0, 2.1], "claim": claim}
    return Left({**told, **changes})


HALF = 4.303 * 0.1 / 3**0.5


def claimed(half: float, mean: float = 2.0, middle: float = 2.0) -> Left:
    return left(claim={"mean": mean, "low": middle - half, "high": middle + half})


WRONG_LEFT = [
    Mutant("too short", left(alone=[5.0] * 9, resumed=[5.0] * 9), "9 steps", earns=0.5),
    Mutant(
        "other losses", left(resumed=[5.0] * 59 + [4.0]), "traces differ", earns=0.5
    ),
    Mutant("never resumed", left(resumed=[5.0] * 30), "resumed to its end", earns=0.5),
    Mutant("other weights", left(equal=False), "weights of the two", earns=0.5),
    Mutant("text as a loss", left(alone=["x"] * 60), "no number", earns=0.5),
    Mutant("one seed", left(bits=[2.0]), "from 3 to 6", earns=0.5),
    Mutant("the same seed", left(bits=[2.0, 2.0, 2.1]), "they are one seed", earns=0.5),
    Mutant("untrained", left(bits=[4.6, 4.7, 4.8]), "not learned", earns=0.5),
    Mutant("no mean", left(claim={}), "mean must be a number", earns=0.5),
    Mutant("NaN", claimed(HALF, mean=math.nan), "got nan", earns=0.5),
    Mutant("invented", claimed(HALF, mean=1.0), "measured again here", earns=0.5),
    Mutant("one deviation", claimed(0.1), "one standard deviation", earns=0.5),
    Mutant("one error", claimed(0.1 / 3**0.5), "Student's t", earns=0.5),
    Mutant("as if many", claimed(0.196 / 3**0.5), "1.96", earns=0.5),
    Mutant("no root", claimed(0.4303), "root of the number", earns=0.5),
    Mutant("divided by n", claimed(HALF * (2 / 3) ** 0.5), "n - 1", earns=0.5),
    Mutant("beside the mean", claimed(HALF, middle=2.1), "in the middle", earns=0.5),
]
RIGHT_LEFT = [left(), claimed(HALF * 1.02, mean=2.004, middle=2.004)]


EXERCISES = {
    "4.1": harness.Exercise(WRONG_GUESSES, [3, 2.5]),
    "4.2": harness.Exercise(WRONG_PACKS, [packing.pack, pack_by_hand, pack_by_ends]),
    "4.3": harness.Exercise(
        WRONG_MASKS, [packing.attention_mask, mask_by_loops, mask_by_places]
    ),
    "4.4": harness.Exercise(
        WRONG_RATES,
        [harness.library.locate(RATE)[0].learning_rate, rate_by_minimum, rate_by_table],
    ),
    "4.5": harness.Exercise(
        WRONG_FILES,
        [
            harness.library.locate(WRITE)[0].write_whole,
            write_by_tempfile,
            write_by_descriptors,
        ],
    ),
    "4.6": harness.Exercise(
        WRONG_KEPT,
        [harness.library.locate(KEEP)[0].capture, capture_by_hand, capture_by_copy],
    ),
    "4.7": harness.Exercise(WRONG_LEFT, RIGHT_LEFT),
}


@pytest.mark.parametrize(*harness.wrong(EXERCISES))
def test_a_wrong_solution_is_refused(exercise: str, mutant: Mutant) -> None:
    harness.refuse(exercise, mutant)


@pytest.mark.parametrize(*harness.right(EXERCISES))
def test_a_right_solution_is_accepted(exercise: str, answer: Any) -> None:
    harness.accept(exercise, answer)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_check_is_tried_enough(exercise: str) -> None:
    harness.has_enough(EXERCISES[exercise])


def test_student_s_t_is_that_of_the_tables() -> None:
    """0.975 quantiles for n - 1 degrees of freedom, by the incomplete beta function."""
    for count, wanted in survived.T_95.items():
        freedom = count - 1
        x = torch.linspace(0, wanted, 200_001, dtype=torch.float64)
        density = (1 + x * x / freedom) ** (-(freedom + 1) / 2)
        scale = math.gamma((freedom + 1) / 2) / (
            math.sqrt(freedom * math.pi) * math.gamma(freedom / 2)
        )
        inside = 2 * scale * float(torch.trapezoid(density, x))
        assert abs(inside - 0.95) < 1e-4


def test_without_the_file_nothing_is_earned(tmp_path: Path) -> None:
    harness.refuse_without_file("4.7", tmp_path)
