"""What fewer bits cost is told with intervals, and in words."""

import json

import pytest
import torch
from click.testing import CliRunner

from sparrow import Sparrow, checkpoints, quant
from sparrow.cli import main
from sparrow.evaluate import quantized, texts
from sparrow.evaluate.intervals import Interval
from sparrow.evaluate.quantized import Measured, Row
from sparrow.text import Tokenizer

PICO = checkpoints.find("pico-r1")


@pytest.fixture(scope="module")
def pico():
    return Sparrow.from_pretrained(PICO).eval(), Tokenizer(PICO)


def run(*words):
    return CliRunner().invoke(main, ["quantize", *map(str, words)])


def test_bytes_are_counted_once_and_equal_the_file(pico, tmp_path):
    model, _tokenizer = pico
    assert quantized.stored_bytes(model) >= 4 * model.count_parameters()
    made = quant.quantize(model, "int4")
    quant.save(made, tmp_path)
    header = 8 * 1024 * 40  # names and shapes of a thousand small tensors
    size = (tmp_path / "model.safetensors").stat().st_size
    assert 0 < size - quantized.stored_bytes(made) < header


@torch.no_grad()
def test_perplexity_is_that_of_what_counts(pico):
    model, tokenizer = pico
    text = texts.own_answers(model, tokenizer, 5, held_out=True)
    losses = quantized.measure(model, tokenizer, text).losses
    row = 3
    logprob = model(text.ids[row : row + 1]).log_softmax(dim=-1)[0, :-1]
    own = logprob.gather(-1, text.ids[row, 1:, None])[:, 0]
    expected = -own[text.counts[row, 1:]].mean()
    assert losses[row] == pytest.approx(float(expected), abs=1e-4)
    assert not text.counts[:, :4].any()  # the question is given, not predicted


def test_a_trained_model_is_known_by_its_answers_and_a_base_model_is_not(pico):
    assert texts.answers_questions(*pico)
    base = checkpoints.find("pico-base")
    model, tokenizer = Sparrow.from_pretrained(base).eval(), Tokenizer(base)
    assert not texts.answers_questions(model, tokenizer)
    text = texts.held_out_text(model, tokenizer, 4, is_trained=False)
    assert text.ids.shape == (4, texts.LENGTH)
    rows = texts.calibration_text(model, tokenizer, 2, is_trained=False)
    assert rows.shape == (2, texts.LENGTH)


def test_calibration_with_own_answers_has_no_padding(pico):
    rows = texts.calibration_text(*pico, 2, is_trained=True)
    assert len(rows) >= 8
    assert (rows[:, -1] != 0).any()


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(-0.1, 0.2, "cannot be told from fp32"), (0.1, 0.2, "differs from fp32")],
)
def test_the_verdict_says_what_the_intervals_say(low, high, words):
    change = Interval((low + high) / 2, low, high, 64)
    zero = Interval(0.0, -0.1, 0.1, 200)
    row = Row("int8", 10, 8.0, 1.5, change, zero, zero)
    assert words in quantized.verdict(row)
    assert "n = 64" in quantized.verdict(row)
    assert "right answers" in quantized.verdict(row)
    row = Row("int8", 10, 8.0, 1.5, change, None, None)
    assert "right answers" not in quantized.verdict(row)


def test_a_change_is_relative_and_the_same_text_has_none():
    losses = torch.rand(40, generator=torch.Generator().manual_seed(0)) + 1
    same = Measured(100, losses, None)
    worse = Measured(50, losses + 0.1, None)
    row = quantized.compare("int4", worse, same, 25)
    assert row.bits_a_weight == 16
    assert row.perplexity_change.estimate == pytest.approx(0.10517, rel=1e-3)
    assert row.differs
    assert not quantized.compare("same", same, same, 25).differs


def test_the_command_writes_a_whole_checkpoint_and_a_report(tmp_path):
    told = run(
        *("--model", "pico-r1", "--scheme", "int8", "--out", tmp_path / "q"),
        *("--rows", 2, "--problems", 4),
    )
    assert told.exit_code == 0, told.output
    assert "int8 cannot be told from fp32" in told.output
    report = json.loads((tmp_path / "q" / "report.json").read_text("utf-8"))
    assert [each["scheme"] for each in report["rows"]] == ["fp32", "int8"]
    assert report["rows"][1]["bits_a_weight"] < 9
    model = quant.open_model(tmp_path / "q")
    assert quant.is_quantized(model)
    assert Tokenizer(tmp_path / "q").encode("1 + 2")
    again = run("--model", tmp_path / "q", "--scheme", "int4", "--out", tmp_path / "r")
    assert again.exit_code == 2
    assert "quantized already" in again.output


def test_several_schemes_have_a_folder_each(tmp_path):
    words = ["--scheme", "int8", "--scheme", "int4", "--no-report"]
    told = run("--model", "pico-r1", *words, "--out", tmp_path)
    assert told.exit_code == 0, told.output
    assert quant.is_stored(tmp_path / "int8")
    assert quant.is_stored(tmp_path / "int4")


@pytest.mark.parametrize(
    ("words", "message", "status"),
    [
        (["--scheme", "int3"], 'no scheme "int3"', 2),
        (["--scheme", "int4", "--group-size", 20], "no multiple of the group", 2),
        (["--scheme", "int4", "--group-size", 3], "even number", 2),
        (["--scheme", "gptq-int4", "--beam", 0], "at least 1 way", 2),
        (["--scheme", "int4", "--beam", 4], "with nearest the beam must be 1", 2),
        (["--scheme", "gptq-int4", "--text", "EMPTY"], "no text to learn from", 2),
        (["--scheme", "gptq-int4", "--text", "SHORT"], "a row needs 256", 2),
    ],
)
def test_bad_input_is_told_in_one_sentence(tmp_path, words, message, status):
    (tmp_path / "EMPTY").write_text("", "utf-8")
    (tmp_path / "SHORT").write_text("A sparrow.", "utf-8")
    words = [tmp_path / each if each in ("EMPTY", "SHORT") else each for each in words]
    told = run("--model", "pico-r1", *words, "--out", tmp_path / "q")
    assert told.exit_code == status
    assert message in told.output
    assert "Traceback" not in told.output


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    told = run("--model", tmp_path, "--scheme", "int8", "--out", tmp_path / "q")
    assert told.exit_code == 1
    assert "cannot be read" in told.output
