"""The checks of lab 06 refuse likely mistakes, and accept what is written otherwise."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sparrow.data import packing
from sparrow.data.packing import IGNORED, Packed
from sparrow.text import chat
from sparrow.train import examples as library
from sparrow.train.examples import Example
from tests.labs import harness
from tests.labs.harness import Left, Mutant, patched

CHAT = "sparrow.text.chat:write_chat"
MASK = "sparrow.train.examples:answer_mask"
PACK = "sparrow.train.examples:pack_whole"
OPEN = "sparrow.train.examples:entropy"


# ---- 6.1: a guess ----

WRONG_GUESSES = [
    Mutant("untouched", None, "no guess yet"),
    Mutant("text", "30", "got str"),
    Mutant("a share of nothing", 0, "more than zero"),
    Mutant("negative", -3, "more than zero"),
    Mutant("for ever", math.inf, "not infinite"),
]


# ---- 6.2: write_chat ----


def chat_by_parts(
    messages: Sequence[dict[str, str]], *, ask: bool, open_thought: bool = False
) -> str:
    """A list of parts, joined at the end."""
    marks = {"assistant": chat.ASSISTANT}
    parts = []
    for message in messages:
        parts += [marks.get(message["role"], chat.USER), message["content"], chat.END]
    parts += [chat.ASSISTANT] * ask + ["<think>"] * (ask and open_thought)
    return "".join(parts)


def chat_by_template(
    messages: Sequence[dict[str, str]], *, ask: bool, open_thought: bool = False
) -> str:
    """What every other tool does: render the template of the checkpoint."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    template = ImmutableSandboxedEnvironment().from_string(chat.CHAT_TEMPLATE)
    return template.render(
        messages=messages, add_generation_prompt=ask, open_thought=open_thought
    )


ROLE = 'ASSISTANT if message["role"] == "assistant" else USER'
ASKS = 'ASSISTANT + ("<think>" if open_thought else "")'
WRONG_CHATS = [
    Mutant(
        "no end",
        patched(CHAT, 'message["content"] + END', 'message["content"]'),
        "closes every turn",
    ),
    Mutant(
        "one end",
        patched(
            CHAT,
            'message["content"] + END',
            'message["content"] + (END if message is messages[-1] else "")',
        ),
        "not only the last",
    ),
    Mutant("no mark", patched(CHAT, ROLE, '""'), "who speaks"),
    Mutant(
        "marks swapped",
        patched(CHAT, ROLE, 'USER if message["role"] == "assistant" else ASSISTANT'),
        "swapped",
    ),
    Mutant(
        "system is the assistant",
        patched(CHAT, ROLE, 'USER if message["role"] == "user" else ASSISTANT'),
        "look at system",
    ),
    Mutant(
        "a mark for each role",
        patched(CHAT, ROLE, '"<|" + message["role"] + "|>"'),
        "role of its own",
    ),
    Mutant(
        "a line for each turn",
        patched(CHAT, 'message["content"] + END', 'message["content"] + END + "\\n"'),
        "between two turns",
    ),
    Mutant(
        "stripped",
        patched(CHAT, 'message["content"] + END', 'message["content"].strip() + END'),
        "keep them",
    ),
    Mutant("never asks", patched(CHAT, "if ask:", "if False:"), "mark", earns=0.5),
    Mutant("always asks", patched(CHAT, "if ask:", "if True:"), "nobody asks"),
    Mutant("never thinks", patched(CHAT, ASKS, "ASSISTANT"), "begin with <think>", 0.5),
    Mutant(
        "always thinks",
        patched(CHAT, ASKS, 'ASSISTANT + "<think>"'),
        "thinks unasked",
        0.5,
    ),
    Mutant(
        "ends what is not written",
        patched(CHAT, ASKS, ASKS + " + END"),
        "not written yet",
        0.5,
    ),
    Mutant("nothing", lambda **_given: None, "is a return missing"),
]


# ---- 6.3: answer_mask ----


def mask_by_loops(tokens: Tensor, *, assistant: int, end: int) -> Tensor:
    """Token by token, row by row."""
    mask = torch.zeros(tokens.shape, dtype=torch.bool)
    for row, line in enumerate(tokens.tolist()):
        speaks = False
        for place, token in enumerate(line):
            mask[row, place] = speaks
            if token in (assistant, end):
                speaks = token == assistant
    return mask


def mask_by_counting(tokens: Tensor, *, assistant: int, end: int) -> Tensor:
    """The latest mark before each place, and the latest end: which is later?"""
    place = torch.arange(1, tokens.shape[1] + 1).expand_as(tokens)

    def latest(token: int) -> Tensor:
        found = place.where(tokens == token, 0).cummax(dim=1).values
        return torch.nn.functional.pad(found[:, :-1], (1, 0))

    return latest(assistant) > latest(end)


SPEAKS = "(speaks | (column == assistant)) & (column != end)"
WRONG_MASKS = [
    Mutant(
        "questions too",
        patched(MASK, SPEAKS, "speaks | (column == assistant)"),
        "questions too",
    ),
    Mutant(
        "the mark too",
        lambda tokens, assistant, end: (
            mask_by_loops(tokens, assistant=assistant, end=end) | (tokens == assistant)
        ),
        "mark itself",
    ),
    Mutant(
        "not its end",
        lambda tokens, assistant, end: (
            mask_by_loops(tokens, assistant=assistant, end=end) & (tokens != end)
        ),
        "learns to stop",
    ),
    Mutant(
        "one place early",
        patched(
            MASK,
            f"columns.append(speaks)\n        # 3. Its mark begins its turn; the end "
            f"token closes any turn.\n        speaks = {SPEAKS}",
            f"speaks = {SPEAKS}\n        columns.append(speaks)",
        ),
        "other way",
    ),
    Mutant(
        "turned round",
        lambda **given: ~library.answer_mask(**given),
        "turned round",
    ),
    Mutant(
        "over the rows",
        lambda tokens, assistant, end: library.answer_mask(
            tokens.view(1, -1), assistant=assistant, end=end
        ).view(tokens.shape),
        "each row begins anew",
        earns=0.8,
    ),
    Mutant(
        "the first answer",
        lambda tokens, assistant, end: (
            library.answer_mask(tokens, assistant=assistant, end=end)
            & ((tokens == assistant).cumsum(1) <= 1)
        ),
        "first answer",
    ),
    Mutant(
        "numbers",
        lambda **given: library.answer_mask(**given).long(),
        "True and False",
    ),
    Mutant("everything", lambda tokens, **_m: torch.ones_like(tokens) > 0, "All is"),
    Mutant("nothing", lambda **_given: None),
]


# ---- 6.4: a row that breaks the lazy mask ----

TURN = ["<|user|>", "3", "<|end|>", "<|assistant|>", "9", "<|end|>"]
WRONG_ROWS = [
    Mutant("untouched", None, "list of pieces"),
    Mutant("numbers", [1, 7, 0], "text in quotes"),
    Mutant("words alone", ["3", "7"], "outside of a turn"),
    Mutant("never ends", TURN[:-1], "no end"),
    Mutant("no end between", [*TURN[:2], *TURN[3:]], "before the turn has ended"),
    Mutant("one answer", TURN, "follow the first answer", earns=0.25),
    Mutant("questions alone", TURN[:3] * 2, "Nobody answers", earns=0.25),
    Mutant("two answers", [*TURN, *TURN[3:]], "follow the first answer", earns=0.25),
    Mutant("a book", TURN * 11, "at most 60"),
]
RIGHT_ROWS = [TURN * 2, [*TURN, *TURN[:3]], tuple(TURN[3:] + TURN[:3])]


# ---- 6.5: pack_whole ----


def pack_by_rows(
    examples: Sequence[Example], length: int, *, assistant: int, end: int
) -> Packed:
    """Row by row as plain lists, and tensors at the end."""
    rows: list[list[tuple[int, int, int]]] = [[]]
    number = 0
    for each in examples:
        if len(rows[-1]) + len(each) > length:
            number = _filled(rows[-1], length, end, number)
            rows.append([])
        tokens = [*each.prompt, *each.answer, end]
        begin = len(each.prompt)
        targets = [IGNORED] * (begin - 1) + tokens[begin:] + [IGNORED]
        rows[-1] += [(t, n, number) for t, n in zip(tokens, targets, strict=True)]
        number += 1
    _filled(rows[-1], length, end, number)
    tokens, targets, document = (
        torch.tensor([[place[k] for place in row] for row in rows]) for k in range(3)
    )
    return Packed(tokens, targets, packing.places_since(document), document)


def _filled(row: list[tuple[int, int, int]], length: int, end: int, number: int) -> int:
    while len(row) < length:
        row.append((end, IGNORED, number))
        number += 1
    return number


def pack_by_prompts(
    examples: Sequence[Example], length: int, *, assistant: int, end: int
) -> dict[str, Tensor]:
    """The library's packing, then targets by shifting the tokens; a dictionary."""
    packed = library.pack_whole(examples, length, assistant=assistant, end=end)
    mask = mask_by_loops(packed.tokens, assistant=assistant, end=end)
    own = packed.tokens.masked_fill(~mask, IGNORED)
    empty = torch.full_like(own[:, :1], IGNORED)
    return {**vars(packed), "targets": torch.cat((own[:, 1:], empty), dim=1)}


FITS = "if len(each) > left:"
KEPT = "packed.targets.where(learned, IGNORED)"
WRONG_PACKS = [
    Mutant("cuts", patched(PACK, FITS, "if False:"), "is cut"),
    Mutant("a row each", patched(PACK, FITS, "if left < length:"), "row of its own"),
    Mutant(
        "never fills a row",
        patched(PACK, FITS, "if len(each) >= left and left < length:"),
        "last place",
    ),
    Mutant("forgets the end", patched(PACK, FITS, "if len(each) - 1 > left:")),
    Mutant(
        "learns questions",
        patched(PACK, KEPT, "packed.targets"),
        "questions are learned",
        earns=0.5,
    ),
    Mutant(
        "one place late",
        patched(PACK, "learned[:, :-1] = mask[:, 1:]", "learned = mask"),
        "one place late",
        earns=0.5,
    ),
    Mutant(
        "only the questions",
        patched(PACK, "where(learned,", "where(~learned,"),
        "Only the questions",
        earns=0.5,
    ),
    Mutant(
        "zero for nothing",
        patched(PACK, KEPT, "packed.targets.where(learned, 0)"),
        "the target is IGNORED",
        earns=0.5,
    ),
    Mutant(
        "its own target",
        patched(PACK, KEPT, "packed.tokens.where(mask, IGNORED)"),
        "its own target",
        earns=0.5,
    ),
    Mutant(
        "never learns to stop",
        patched(
            PACK,
            "mask[:, 1:]",
            "mask[:, 1:] & (packed.tokens[:, 1:] != end)",
        ),
        "end of an answer",
        earns=0.5,
    ),
    Mutant(
        "the filling has one number",
        patched(
            PACK, "documents += [()] * left", "documents.append((end,) * (left - 1))"
        ),
    ),
    Mutant("only tokens", lambda *_g, **_n: torch.zeros(2, 3), "four tensors"),
]


# ---- 6.6: entropy ----


def entropy_by_torch(logits: Tensor) -> Tensor:
    return torch.distributions.Categorical(logits=logits.float()).entropy()


def entropy_by_score(logits: Tensor) -> Tensor:
    """ln of the sum of all, less the mean score."""
    scores = logits.double()
    scores = scores - scores.amax(-1, keepdim=True)
    mean = (scores.softmax(-1) * scores).sum(-1)
    return (scores.logsumexp(-1) - mean).float()


RETURNED = "-(logprob.exp() * logprob).sum(dim=-1)"
WRONG_OPENNESS = [
    Mutant("negative", patched(OPEN, RETURNED, RETURNED[1:]), "below zero"),
    Mutant("bits", patched(OPEN, RETURNED, RETURNED + " / 0.6931472"), "in bits"),
    Mutant(
        "unweighted", patched(OPEN, RETURNED, "-logprob.sum(dim=-1)"), "as often as"
    ),
    Mutant(
        "a plain mean", patched(OPEN, RETURNED, "-logprob.mean(dim=-1)"), "as often as"
    ),
    Mutant(
        "mean for sum",
        patched(OPEN, RETURNED, "-(logprob.exp() * logprob).mean(dim=-1)"),
        "no mean",
    ),
    Mutant("the likeliest", patched(OPEN, RETURNED, "-logprob.amax(-1)"), "likeliest"),
    Mutant(
        "another axis",
        patched(OPEN, "log_softmax(dim=-1)", "log_softmax(dim=0)"),
        "over the last axis",
    ),
    Mutant(
        "one for all", patched(OPEN, RETURNED, RETURNED + ".mean()"), "", earns=None
    ),
    Mutant("bfloat16", patched(OPEN, ".float()", ""), "bfloat16", earns=0.8),
    Mutant(
        "softmax, then log",
        lambda logits: (
            -(logits.float().softmax(-1) * logits.float().softmax(-1).log()).sum(-1)
        ),
        "NaN",
        earns=0.8,
    ),
]


# ---- 6.7: the file that the lab leaves ----

MEASURED = {"pass1": 0.3, "pass8": 0.8, "entropy": 0.2, "degenerate": 0.25}


def left(**changes: Any) -> Left:
    """What the driver would tell of a good file, with some changes."""
    return Left(
        {
            "losses": [3.0] * 20 + [0.4] * 180,
            "recipe": {"seed": 7},
            "measured": MEASURED,
            "warnings": [],
            "claim": dict(MEASURED),
            **changes,
        }
    )


def claimed(**figures: Any) -> Left:
    return left(claim={**MEASURED, **figures})


WRONG_LEFT = [
    Mutant("too short", left(losses=[3.0] * 9 + [0.1] * 9), "18 steps", earns=0.8),
    Mutant("text as a loss", left(losses=["x"] * 200), "is no number", earns=0.8),
    Mutant("NaN", left(losses=[math.nan] * 200), "is no number", earns=0.8),
    Mutant("no seed", left(recipe={}), "names no seed", earns=0.8),
    Mutant("untrained", left(losses=[3.0] * 200), "hardly fallen", earns=0.8),
    Mutant("no claim", left(claim=None), "no claim", earns=0.6),
    Mutant("untouched", claimed(pass1=None), "pass1 must be a number", earns=0.6),
    Mutant("problems for answers", claimed(pass1=0.8), "not of problems", earns=0.6),
    Mutant("a percentage", claimed(pass1=30.0), "not a percentage", earns=0.6),
    Mutant("equally hard", claimed(pass8=1 - 0.7**8), "equally hard", earns=0.6),
    Mutant("one answer", claimed(pass8=0.3), "at least one right", earns=0.6),
    Mutant("minus", claimed(entropy=-0.2), "minus the mean", earns=0.6),
    Mutant("bits", claimed(entropy=0.2 / math.log(2)), "in bits", earns=0.6),
    Mutant("the other groups", claimed(degenerate=0.75), "other ones", earns=0.6),
    Mutant("all wrong only", claimed(degenerate=0.2), "all right teach", earns=0.6),
    Mutant("all right only", claimed(degenerate=0.05), "all wrong teach", earns=0.6),
    Mutant("invented", claimed(pass8=0.6), "asked again here", earns=0.6),
    Mutant("shut", left(warnings=["pass@1 is 0.05"]), "pass@1 is 0.05", earns=0.6),
]
RIGHT_LEFT = [left(), claimed(pass1=0.31, pass8=0.81, entropy=0.205, degenerate=0.26)]


EXERCISES = {
    "6.1": harness.Exercise(WRONG_GUESSES, [30, 12.5]),
    "6.2": harness.Exercise(
        WRONG_CHATS, [chat.write_chat, chat_by_parts, chat_by_template]
    ),
    "6.3": harness.Exercise(
        WRONG_MASKS, [library.answer_mask, mask_by_loops, mask_by_counting]
    ),
    "6.4": harness.Exercise(WRONG_ROWS, RIGHT_ROWS),
    "6.5": harness.Exercise(
        WRONG_PACKS, [library.pack_whole, pack_by_rows, pack_by_prompts]
    ),
    "6.6": harness.Exercise(
        WRONG_OPENNESS, [library.entropy, entropy_by_torch, entropy_by_score]
    ),
    "6.7": harness.Exercise(WRONG_LEFT, RIGHT_LEFT),
}


@pytest.mark.parametrize(*harness.wrong(EXERCISES))
def test_a_wrong_solution_is_refused(exercise: str, mutant: Mutant) -> None:
    harness.refuse(exercise, mutant)


@pytest.mark.parametrize(*harness.right(EXERCISES))
def test_a_right_solution_is_accepted(exercise: str, answer: Any) -> None:
    harness.accept(exercise, answer)


@pytest.mark.parametrize("exercise", ["6.2", "6.3", "6.5", "6.6"])
def test_what_nobody_wrote_earns_nothing(exercise: str) -> None:
    harness.refuse_stub(exercise)


@pytest.mark.parametrize(
    ("exercise", "pieces"),
    [
        ("6.2", ["text +=", 'message["content"]']),
        ("6.3", ["column ==", "speaks |"]),
        ("6.5", ["[:, 1:]", "[()]"]),
        ("6.6", ["log_softmax", "logprob"]),
    ],
)
def test_no_message_shows_the_solution(exercise: str, pieces: list[str]) -> None:
    harness.keep_secret(exercise, EXERCISES[exercise], pieces)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_check_is_tried_enough(exercise: str) -> None:
    harness.has_enough(EXERCISES[exercise])


def test_without_the_file_nothing_is_earned(tmp_path: Path) -> None:
    harness.refuse_without_file("6.7", tmp_path)
