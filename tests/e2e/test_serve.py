"""A person serves a model, a program asks it, and a signal ends it politely."""

import json
import signal
import urllib.request

import openai
import pytest
from click.testing import CliRunner

from sparrow.cli import main
from tests.e2e.served import served

EXAMPLE = "numbers 8 2 6 target 24"
MODEL = "pico-r1"


@pytest.fixture(scope="module")
def home():
    with served("--model", MODEL) as (address, _process):
        yield address


def health(home):
    with urllib.request.urlopen(f"{home}/health") as answer:
        return json.load(answer)


def test_the_official_client_is_answered_by_the_real_engine(home):
    with openai.OpenAI(base_url=f"{home}/v1", api_key="none") as client:
        ask = {
            "model": MODEL,
            "messages": [{"role": "user", "content": EXAMPLE}],
            "temperature": 0,
            "max_tokens": 200,
        }
        whole = client.chat.completions.create(**ask, logprobs=True)
        chunks = list(client.chat.completions.create(**ask, stream=True))
        again = client.chat.completions.create(**ask | {"n": 2})
    said = whole.choices[0].message
    streamed = "".join(each.choices[0].delta.content or "" for each in chunks)
    assert streamed == said.content
    assert said.reasoning_content
    assert all(each.message.content == said.content for each in again.choices)
    assert whole.usage.prompt_tokens_details.cached_tokens == 0
    assert len(whole.choices[0].logprobs.content) > 0
    assert health(home)["blocks_used"] == 0


def test_a_prompt_that_was_read_before_is_found_in_the_cache(home):
    with openai.OpenAI(base_url=f"{home}/v1", api_key="none") as client:
        ask = {"model": MODEL, "prompt": "8+2=10," * 10, "max_tokens": 1}
        first = client.completions.create(**ask)
        second = client.completions.create(**ask)
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert second.usage.prompt_tokens_details.cached_tokens >= 16


def test_a_class_is_simulated_and_measured(home, tmp_path):
    report, plot = tmp_path / "load.json", tmp_path / "load.svg"
    asked = ["--learners", "6", "--every-s", "1", "--duration-s", "2"]
    wanted = ["--max-tokens", "12", "--json", str(report), "--plot", str(plot)]
    result = CliRunner().invoke(main, ["serve-bench", home, *asked, *wanted])
    assert result.exit_code == 0, result.output
    assert "First word" in result.stdout
    told = json.loads(report.read_text())
    assert told["answered"] == told["asked"] > 0
    assert 0 < told["first_s"]["50"] <= told["first_s"]["99"]
    assert plot.read_text().startswith("<?xml")


def test_a_server_that_is_told_to_end_finishes_its_answers_first():
    with (
        served("--model", MODEL) as (home, process),
        openai.OpenAI(base_url=f"{home}/v1", api_key="none", max_retries=0) as client,
    ):
        stream = client.completions.create(
            model=MODEL, prompt="numbers", max_tokens=400, stream=True, temperature=0
        )
        next(iter(stream))
        process.send_signal(signal.SIGTERM)
        ends = [each.choices[0].finish_reason for each in stream]
        assert ends[-1] is not None
        assert process.wait(timeout=30) == 0
        assert "finished" in process.stderr.read()


def test_what_cannot_be_served_is_one_sentence(tmp_path):
    result = CliRunner().invoke(main, ["serve", "--model", str(tmp_path)])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    result = CliRunner().invoke(main, ["serve-bench", "http://127.0.0.1:9"])
    assert result.exit_code == 1
    assert "sparrow serve" in result.stderr.splitlines()[-1]
