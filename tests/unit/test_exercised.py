"""What learners replace is what the library calls: always through its module."""

import ast
import importlib
import itertools
import tempfile
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
import torch

import sparrow
from sparrow import Config, Sparrow, checkpoints, decode, quant
from sparrow.checks import library
from sparrow.cost import ledger, published
from sparrow.data.stream import Stream
from sparrow.distill import sampler
from sparrow.distill.loop import SoftObjective
from sparrow.distill.recipe import DistillRecipe
from sparrow.evaluate import report, voting
from sparrow.evaluate.run import Answers
from sparrow.lab import catalogue
from sparrow.rl import objective
from sparrow.rl.loop import Reinforcement
from sparrow.rl.recipe import GrpoRecipe
from sparrow.serve import Engine, EngineSettings, Sampling
from sparrow.text import Tokenizer, bpe
from sparrow.text.chat import ASSISTANT
from sparrow.train import examples, state
from sparrow.train.learner import Learner
from sparrow.train.parallel import Team
from sparrow.train.recipe import Recipe
from sparrow.train.sft import Imitation, SftRecipe
from sparrow.verify import Countdown, score

SRC = Path(sparrow.__file__).parent
SYMBOLS = sorted(
    symbol for lab in catalogue.labs().values() for symbol in lab.solutions.values()
)
# Packages offer the library's own version to others; checks and pictures compare the
# learner's with it, and must not meet the learner's in its place.
WANTS_THE_REFERENCE = ("checks", "viz")


def modules():
    for path in sorted(SRC.rglob("*.py")):
        inside = path.relative_to(SRC)
        if path.name != "__init__.py" and inside.parts[0] not in WANTS_THE_REFERENCE:
            yield path


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_no_module_takes_a_copy_of_an_exercised_function(symbol):
    module, _colon, path = symbol.partition(":")
    if "." in path:  # a method is replaced in its class, whoever has imported that
        return
    for file in modules():
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                is_same = module == node.module or module.startswith(node.module + ".")
                taken = {alias.name for alias in node.names}
                assert not (is_same and path in taken), f"{file}: import the module"


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_no_module_keeps_a_copy_under_another_name(symbol):
    """`scores = absorbed_scores` at the top would be such a copy."""
    module, _colon, path = symbol.partition(":")
    tree = ast.parse(Path(importlib.import_module(module).__file__).read_text("utf-8"))
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Name):
            assert statement.value.id != path


def run_model():
    model = Sparrow(Config.preset("pico")).eval()
    cache = model.new_cache(1, 3)
    with torch.inference_mode():
        model(torch.tensor([[1, 2]]), cache=cache)
        model(torch.tensor([[3]]), cache=cache)  # one token: the absorbed form


def read_ledger():
    hours = {"cpu_s": 3600.0, "power_w": 15.0}
    prices = {"price_per_hour": 0.0, "tariff_per_kwh": 0.2, "grid_g_per_kwh": 300.0}
    ledger.Entry(stage="tiny", pue=1.0, **hours, **prices).footprint()


def learn_and_encode():
    bpe.encode(b"nest rest", bpe.train(b"nest nests nesting", 270))


def train_two_steps():
    """All that labs 03 and 04 ask for, in the order in which a run uses it."""
    config = Config.preset("pico").replace(
        hidden_size=16, num_hidden_layers=2, intermediate_size=16, vocab_size=16
    )
    recipe = Recipe(model=config, steps=2, warmup_steps=1, length=8, batch_size=2)
    stream = Stream([[1, 2, 3], [4] * 9], length=8, batch_size=2, end=0, seed=0)
    learner = Learner(Sparrow(config), recipe, Team(0, 1, torch.device("cpu")))
    learner.learn(stream.batch(0), 0)
    kept = state.capture(learner.model, learner.optimizer)
    with tempfile.TemporaryDirectory() as folder:
        found = state.State(step=1, tensors=kept, facts={})
        state.save_state(Path(folder), found)


def learn_from_reward():
    """One step of lab 07: drawn, rewarded, compared and learned from."""
    recipe = GrpoRecipe(
        style="zero",
        questions=2,
        group_size=2,
        max_new_tokens=3,
    )
    marks = itertools.count()  # no two answers earn the same
    with tempfile.TemporaryDirectory() as folder:
        learner = Reinforcement(
            recipe,
            Path(folder),
            Team(0, 1, torch.device("cpu")),
            say=lambda _sentence: None,
            earn=lambda _problem, _text, _score: float(next(marks)),
        )
        learner.step_once()


def lose():
    """The loss of two answers of two tokens, beside a reference."""
    numbers = torch.full((2, 2), -1.0)
    objective.policy_loss(
        numbers,
        numbers,
        torch.ones(2),
        torch.ones(2, 2),
        kind="dapo",
        clip_low=0.2,
        clip_high=0.28,
        ref_logprobs=numbers,
    )


def imitate():
    """A conversation of lab 06: written, packed, masked and looked at."""
    folder = checkpoints.find("pico-base")
    tokenizer = Tokenizer(folder)
    told = [examples.example(tokenizer, "numbers 3 7 target 21", "3*7=21")]
    with tempfile.TemporaryDirectory() as run:
        imitation = Imitation(
            SftRecipe(length=64),
            Path(run),
            Team(0, 1, torch.device("cpu")),
            lambda _sentence: None,
            model=Sparrow.from_pretrained(folder).eval(),
            tokenizer=tokenizer,
            train=told,
            held_out=told,
        )
        imitation.look()


def report_on_answers():
    """Two answers to a problem, scored, reported, compared, and put to the vote."""
    problem, text = Countdown((3, 7, 8), 29), "</think><answer>3*7+8</answer>"
    generator = torch.Generator()

    def answered(samples):
        scored, wrote = (
            score(problem, text),
            decode.Completion(tokens=[1], logprobs=[0.0]),
        )
        rows = [(each,) * samples for each in (text, scored, wrote)]
        return Answers((problem,), *((row,) for row in rows))

    report.figures(answered(2), generator)
    report.figures(answered(1), generator)
    report.compare(answered(1), answered(1), generator)
    voting.self_consistency(["a"], [[1]], [[1]], [1], generator=generator)


def learn_from_a_teacher():
    """A lesson of lab 08: kept, no test's, and learned from in both directions."""
    folder = checkpoints.find("pico-base")
    tokenizer, model = Tokenizer(folder), Sparrow.from_pretrained(folder)
    problem, text = Countdown((3, 7, 8), 29), "</think><answer>3*7+8</answer>"
    told = Answers(
        (problem,), ((text,),), ((score(problem, text),),), ((decode.Completion(),),)
    )
    with mock.patch.object(sampler, "ask", return_value=told):
        taught = sampler.collect(
            model,
            tokenizer,
            [problem],
            **{"samples": 1, "most": 1, "temperature": 1.0, "max_new_tokens": 1},
            generator=torch.Generator(),
        )
    lesson = [examples.example(tokenizer, *each) for each in taught.lessons]
    marks = {"assistant": tokenizer.token_id(ASSISTANT), "end": tokenizer.end}
    packed = examples.pack_whole(lesson, 64, **marks)
    for method in ("forward", "reverse"):
        SoftObjective(model, model, DistillRecipe(method=method))(packed, 1, 1)


def quantize(scheme):
    """A model of one layer, and a few tokens to calibrate with."""
    config = Config.preset("pico").replace(
        num_hidden_layers=1, first_k_dense_replace=1, num_nextn_predict_layers=0
    )
    quant.quantize(Sparrow(config), scheme, torch.tensor([[1, 2, 3, 4]]))


def serve():
    """Two requests that share a beginning, with guesses."""
    model = Sparrow(Config.preset("pico").replace(num_hidden_layers=1)).eval()
    engine = Engine(model, settings=EngineSettings(speculation="ngram", blocks=8))
    for last in (3, 4):
        engine.submit([*range(20), last], Sampling(max_tokens=2))
        while engine.has_work:
            engine.step()


CALLERS = {
    "sparrow.serve.scheduler:share_budget": serve,
    "sparrow.serve.blocks:BlockPool.allocate": serve,
    "sparrow.serve.blocks:BlockPool.free": serve,
    "sparrow.serve.blocks:BlockPool.longest_prefix": serve,
    "sparrow.serve.speculate:accept": serve,
    "sparrow.quant.affine:symmetric_grid": partial(quantize, "int8"),
    "sparrow.quant.affine:asymmetric_grid": partial(quantize, "int4"),
    "sparrow.quant.gptq:round_columns": partial(quantize, "gptq-int4"),
    "sparrow.quant.awq:search_scale": partial(quantize, "awq-int4"),
    "sparrow.quant.fp8:tile_scale": partial(quantize, "fp8-block"),
    "sparrow.distill.sampler:keep_right": learn_from_a_teacher,
    "sparrow.distill.sampler:is_leak": learn_from_a_teacher,
    "sparrow.distill.soft:surprise": learn_from_a_teacher,
    "sparrow.distill.soft:forward_kl": learn_from_a_teacher,
    "sparrow.distill.soft:reverse_kl": learn_from_a_teacher,
    "sparrow.verify.score:find_answer": report_on_answers,
    "sparrow.evaluate.passk:pass_at_k": report_on_answers,
    "sparrow.evaluate.intervals:wilson_interval": report_on_answers,
    "sparrow.evaluate.paired:mcnemar": report_on_answers,
    "sparrow.evaluate.voting:majority_vote": report_on_answers,
    "sparrow.text.chat:write_chat": imitate,
    "sparrow.train.examples:answer_mask": imitate,
    "sparrow.train.examples:pack_whole": imitate,
    "sparrow.train.examples:entropy": imitate,
    "sparrow.rl.advantage:group_advantage": learn_from_reward,
    "sparrow.rl.surrogate:clipped_surrogate": lose,
    "sparrow.rl.surrogate:k3_kl": lose,
    "sparrow.rl.shares:aggregate": lose,
    "sparrow.rl.rollout:with_signal": learn_from_reward,
    "sparrow.text.bpe:count_pairs": learn_and_encode,
    "sparrow.text.bpe:join": learn_and_encode,
    "sparrow.text.bpe:train": learn_and_encode,
    "sparrow.text.bpe:encode_word": learn_and_encode,
    "sparrow.model.moe:gate": train_two_steps,
    "sparrow.model.moe:update_bias": train_two_steps,
    "sparrow.model.moe:sequence_balance_loss": train_two_steps,
    "sparrow.train.loss:mtp_loss": train_two_steps,
    "sparrow.data.packing:pack": train_two_steps,
    "sparrow.data.packing:attention_mask": train_two_steps,
    "sparrow.train.schedule:learning_rate": train_two_steps,
    "sparrow.train.state:write_whole": train_two_steps,
    "sparrow.train.state:capture": train_two_steps,
    "sparrow.cost.bill:training_effort": published.recompute,
    "sparrow.cost.bill:footprint": read_ledger,
    "sparrow.model.norm:rms_norm": run_model,
    "sparrow.model.mla:compress": run_model,
    "sparrow.model.rope:rotate_pairs": run_model,
    "sparrow.model.mla:absorbed_scores": run_model,
}


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_library_calls_what_stands_in_its_place(symbol):
    assert symbol in CALLERS, "say how the library uses the new exercise's function"
    owner, name = library.locate(symbol)
    original, calls = owner.__dict__[name], []

    def other(*args, **kwargs):
        calls.append(name)
        return original(*args, **kwargs)

    library.replace(symbol, other)
    try:
        CALLERS[symbol]()
        assert calls
    finally:
        library.put_back(symbol)
    assert owner.__dict__[name] is original
