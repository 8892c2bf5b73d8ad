"""Write token by token: one prefill for equal prompts, then one column at a time.

Finished sequences leave the batch, so a long answer does not make short ones pay.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from sparrow import runtime
from sparrow.errors import PromptError, UsageError
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.model.cache import Cache
from sparrow.model.joined import JoinedStep, can_join
from sparrow.model.native_step import NativeStep, Texts, can_step

__all__ = ["Completion", "generate", "sample", "stream"]

JOIN_FROM = 16  # so many sequences pay for joining the weights
LEAVE_FRAC = 0.125  # finished rows leave when they are at least this part of the batch


@dataclass(kw_only=True)
class Completion:
    """What the model wrote after one prompt.

    `logprobs` holds, for each token, its log-probability (natural logarithm) in the
    distribution it was sampled from at temperature 1, before top-p cut anything off.
    """

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stopped: bool = False  # it ended with a stop token, which is its last token


def sample(
    logits: Tensor,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw one token for each row; temperature 0 takes the most likely one.

    Args:
        logits: scores of every token.
        temperature: above 1 flatter, below 1 sharper.
        top_p: keep the most likely tokens that together reach this probability.
        generator: the source of randomness.

    Shapes:
        logits: [B, V]; returns [B].

    Source: top-p is nucleus sampling, Holtzman et al., arXiv:1904.09751.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    scaled = logits.float() if temperature == 1 else logits.float() / temperature
    probability = scaled.softmax(dim=-1)
    if top_p < 1:
        ordered, index = probability.sort(dim=-1, descending=True)
        before = ordered.cumsum(dim=-1) - ordered
        ordered = ordered.masked_fill(before >= top_p, 0)
        probability = torch.zeros_like(probability).scatter(-1, index, ordered)
    # Walk along the cumulative sum until one uniform number a row is reached: cheaper
    # than one random number for each token of the vocabulary.
    reached = probability.cumsum(dim=-1)
    uniform = torch.rand(len(reached), 1, generator=generator, device=logits.device)
    # Times the last sum, which rounding leaves a little off one; clamped, since the
    # product may round up to the sum itself.
    token = torch.searchsorted(reached, uniform * reached[:, -1:], right=True)
    return token[:, 0].clamp(max=logits.shape[-1] - 1)


@torch.inference_mode()
def generate(
    model: Sparrow,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    stop: Iterable[int] = (),
    generator: torch.Generator | None = None,
) -> list[Completion]:
    """Continue each prompt until a stop token or `max_new_tokens`.

    Args:
        model: any Sparrow model.
        prompts: token ids; lengths may differ, and equal prompts are read once.
        max_new_tokens: at most so many for each prompt.
        temperature: 0 is greedy.
        top_p: see `sample`.
        stop: token ids that end a completion.
        generator: the source of randomness; None: PyTorch's global one.

    Returns:
        One `Completion` a prompt, in the same order.

    Raises:
        PromptError: a prompt is empty, has unknown tokens, or does not fit.
        UsageError: a setting is out of its range.
    """
    _check_settings(max_new_tokens, temperature, top_p)
    if not prompts or max_new_tokens == 0:
        return [Completion() for _prompt in prompts]
    batch = _Batch(model, prompts, max_new_tokens, stop)
    logits = batch.prefill()
    while True:
        token = sample(
            logits, temperature=temperature, top_p=top_p, generator=generator
        )
        logprob = logits.float().log_softmax(dim=-1).gather(-1, token[:, None])[:, 0]
        batch.write(token, logprob)
        if batch.is_done:
            return batch.completions()
        logits = batch.step(token)


def stream(
    model: Sparrow,
    prompt: Sequence[int],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    stop: Iterable[int] = (),
    generator: torch.Generator | None = None,
    cache: Cache | None = None,
) -> Iterator[int]:
    """Continue one prompt, giving each token as soon as it is chosen.

    Args as in `generate`. A stop token ends the stream and is given too. With a
    `cache` from an earlier turn, `prompt` holds only the tokens that came since.
    """
    _check_settings(max_new_tokens, temperature, top_p)
    past = cache.length if cache is not None else 0
    _check_prompts(model, [prompt], max_new_tokens + past)
    cache = cache or model.new_cache(1, len(prompt) + max_new_tokens)
    stops = frozenset(stop)
    new = torch.tensor([prompt], device=model.device)
    for _step in range(max_new_tokens):
        with torch.inference_mode():
            logits = model.logits(model.hidden(new, cache=cache)[:, -1])
            token = sample(
                logits, temperature=temperature, top_p=top_p, generator=generator
            )
        yield int(token)
        if int(token) in stops:
            return
        new = token[:, None]


class _Batch:
    """The sequences that are still being written, and their common past."""

    def __init__(
        self,
        model: Sparrow,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        stop: Iterable[int],
    ) -> None:
        _check_prompts(model, prompts, max_new_tokens)
        self.model = model
        device = model.device
        # All that is written, [completions, columns]: read once, at the end.
        shape = (len(prompts), max_new_tokens)
        self.tokens = torch.zeros(shape, dtype=torch.long, device=device)
        self.logprobs = torch.zeros(shape, device=device)
        self.columns = 0  # written so far
        self.stop = torch.tensor(sorted(set(stop)), dtype=torch.long, device=device)
        self.rows = torch.arange(len(prompts), device=device)  # whose rows these are
        self.going = torch.ones_like(self.rows, dtype=torch.bool)
        self.unique = list(dict.fromkeys(tuple(prompt) for prompt in prompts))
        place = {prompt: index for index, prompt in enumerate(self.unique)}
        self.copies = torch.tensor([place[tuple(prompt)] for prompt in prompts])
        lengths = torch.tensor([len(prompt) for prompt in self.unique])
        self.width = int(lengths.max())
        # Prompts stand at the right, so that all rows write their next token into
        # the same column; `pad` is how many columns of a row are empty.
        self.pad = self.width - lengths  # [B]
        self.is_padded = bool(self.pad.any())
        self.cache = model.new_cache(len(self.unique), self.width + max_new_tokens)
        self.joined: JoinedStep | NativeStep | None = None
        if len(prompts) >= JOIN_FROM and can_join(model):
            is_native = can_step(model, len(prompts) * max_new_tokens)
            self.joined = NativeStep(model) if is_native else JoinedStep(model)

    def prefill(self) -> Tensor:
        """Read every different prompt once; scores of the first new token, [B, V]."""
        logits = self.model.logits(self._read_prompts())
        if len(self.copies) > len(self.unique):
            self._select(self.copies)
            logits = logits[self.copies.to(self.model.device)]
        return logits

    def _read_prompts(self) -> Tensor:
        """The states of the last token of each different prompt, [U, D]."""
        device, joined = self.model.device, self.joined
        # A thread reads whole texts, so there must be one for each.
        is_shared = len(self.unique) >= torch.get_num_threads()
        if isinstance(joined, NativeStep) and is_shared:
            return self._read_at_once(joined)
        ids = torch.zeros(len(self.unique), self.width, dtype=torch.long)
        for row, prompt in enumerate(self.unique):
            ids[row, self.width - len(prompt) :] = torch.tensor(prompt)
        positions, mask = None, None
        if self.is_padded:
            column = torch.arange(self.width)
            positions = (column - self.pad[:, None]).clamp(min=0).to(device)
            seen = column >= self.pad[:, None]  # [B, K]
            square = torch.ones(self.width, self.width, dtype=torch.bool)
            # The diagonal stays open: a softmax over nothing is not a number.
            own = torch.eye(self.width, dtype=torch.bool)
            mask = (square.tril() & seen[:, None] | own)[:, None].to(device)
        with runtime.fast_matmul(None if self.joined else "mkl"):
            hidden = self.model.hidden(
                ids.to(device), positions=positions, mask=mask, cache=self.cache
            )
        return hidden[:, -1]

    def _read_at_once(self, joined: NativeStep) -> Tensor:
        """The same, all prompts side by side and none of them filled up."""
        lengths = self.width - self.pad
        ends = lengths.cumsum(0)
        positions = torch.cat([torch.arange(int(each)) for each in lengths])
        texts = Texts(
            begins=F.pad(ends, (1, 0)),
            firsts=self.pad,
            columns=positions + self.pad.repeat_interleave(lengths),
            positions=positions,
            tables=torch.arange(len(lengths))[:, None],
        )
        tokens = torch.tensor([each for prompt in self.unique for each in prompt])
        hidden = joined.hidden(tokens, texts, self.cache.buffers)
        self.cache.advance(self.width)
        return hidden[ends - 1]

    def write(self, token: Tensor, logprob: Tensor) -> None:
        """Keep one new token a row, with its log-probability. [B], [B]."""
        self.tokens[self.rows, self.columns] = token
        self.logprobs[self.rows, self.columns] = logprob
        self.columns += 1
        if len(self.stop):
            self.going &= ~torch.isin(token, self.stop)

    @property
    def is_done(self) -> bool:
        """Whether every sequence has ended or is full."""
        return self.columns == self.tokens.shape[1] or not bool(self.going.any())

    def completions(self) -> list[Completion]:
        """What was written, each up to its first stop token."""
        is_stop = torch.isin(self.tokens, self.stop)
        stopped = is_stop.any(dim=1)
        # `argmax` gives the first of equal ones.
        length = torch.where(stopped, is_stop.int().argmax(dim=1) + 1, self.columns)
        return [
            Completion(tokens=tokens[:end], logprobs=logprobs[:end], stopped=ended)
            for tokens, logprobs, end, ended in zip(
                self.tokens.tolist(),
                self.logprobs.tolist(),
                length.tolist(),
                stopped.tolist(),
                strict=True,
            )
        ]

    def step(self, token: Tensor) -> Tensor:
        """Append one token to every row that goes on; scores of the next one.

        Shapes:
            token: [B]; returns [B', V], B' rows being left.
        """
        if int((~self.going).sum()) >= LEAVE_FRAC * len(token):
            token = token[self.going]
            self._leave()
        if self.joined is not None:
            pad = self.pad if self.is_padded else None
            return self.joined(token, self.cache, pad)
        positions, mask = None, None
        if self.is_padded:
            column = torch.arange(self.cache.length + 1)
            pad = self.pad[:, None]
            positions = (self.cache.length - pad).to(token.device)
            mask = (column >= pad)[:, None, None].to(token.device)
        hidden = self.model.hidden(
            token[:, None], positions=positions, mask=mask, cache=self.cache
        )
        return self.model.logits(hidden[:, -1])

    def _leave(self) -> None:
        """Drop the rows that are done."""
        kept = self.going.nonzero()[:, 0]
        self.rows, self.going = self.rows[kept], self.going[kept]
        self._select(kept)

    def _select(self, rows: Tensor) -> None:
        self.cache.keep(rows.to(self.model.device))
        self.pad = self.pad[rows.cpu()]


def _check_settings(max_new_tokens: int, temperature: float, top_p: float) -> None:
    if max_new_tokens < 0:
        raise UsageError(
            _("max_new_tokens must be at least 0, got {got}.", got=max_new_tokens)
        )
    if not temperature >= 0:
        raise UsageError(
            _("temperature must be at least 0, got {got}.", got=temperature)
        )
    if not 0 < top_p <= 1:
        raise UsageError(_("top_p must be in (0, 1], got {got}.", got=top_p))


def _check_prompts(
    model: Sparrow, prompts: Sequence[Sequence[int]], new_tokens: int
) -> None:
    """Refuse what the model cannot read, before any work is done."""
    limit, vocabulary = model.config.max_position_embeddings, model.config.vocab_size
    for prompt in prompts:
        if not prompt:
            raise PromptError(
                _("a prompt is empty; give at least one token, such as the first one.")
            )
        if len(prompt) + new_tokens > limit:
            raise PromptError(
                _(
                    "the prompt has {got} tokens and {new} more are asked for, but "
                    "this model reads at most {limit}; shorten one of the two.",
                    got=len(prompt),
                    new=new_tokens,
                    limit=limit,
                )
            )
        if unknown := [token for token in prompt if not 0 <= token < vocabulary]:
            raise PromptError(
                _(
                    "token {got} is not in the vocabulary, whose ids are 0 to {last}; "
                    "was this text encoded for another model?",
                    got=unknown[0],
                    last=vocabulary - 1,
                )
            )
