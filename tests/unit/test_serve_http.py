"""The server speaks OpenAI's API: its own client cannot tell, and bad input is told."""

import http.client
import json
import socket
import time
from urllib.parse import urlsplit

import openai
import pytest

from sparrow.errors import UsageError
from sparrow.serve.server import listen
from tests.unit import parrot
from tests.unit.parrot import LONGEST, Parrot, served

THOUGHT = "<think>8+2=10</think><answer>8+2</answer>"
SAYS = parrot.tokenizer().encode(THOUGHT)
ASK = {"model": "parrot", "messages": [{"role": "user", "content": "numbers 8 2"}]}
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"


@pytest.fixture(scope="module")
def engine():
    return Parrot(SAYS, most=40)


@pytest.fixture(scope="module")
def home(engine):
    with served(engine) as (address, _server):
        yield address


@pytest.fixture(scope="module")
def client(home):
    with openai.OpenAI(base_url=f"{home}/v1", api_key="none", max_retries=0) as made:
        yield made


def call(home, method, path, body=None, **headers):
    """A request by hand: what no client would send."""
    connection = http.client.HTTPConnection(urlsplit(home).netloc, timeout=20)
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    return answer, json.loads(said) if said[:1] == b"{" else said.decode()


# --- the official client


def test_the_client_lists_and_finds_the_model(client):
    assert [each.id for each in client.models.list()] == ["parrot"]
    assert client.models.retrieve("parrot").max_model_len == LONGEST
    with pytest.raises(openai.NotFoundError, match='only "parrot"'):
        client.models.retrieve("gpt-4/mini")


def test_the_client_reads_an_answer_and_its_thought(client):
    answer = client.chat.completions.create(**ASK)
    [choice] = answer.choices
    assert answer.object == "chat.completion"
    assert choice.message.role == "assistant"
    assert choice.message.content == "8+2"
    assert choice.message.reasoning_content == "8+2=10"
    assert choice.finish_reason == "stop"
    assert answer.usage.completion_tokens == len(SAYS) + 1
    assert answer.usage.completion_tokens_details.reasoning_tokens == 7
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + len(SAYS) + 1


def test_the_client_reads_a_stream(client):
    stream = client.chat.completions.create(
        **ASK, stream=True, n=2, stream_options={"include_usage": True}
    )
    *chunks, last = stream
    assert last.choices == []
    assert last.usage.completion_tokens == 2 * (len(SAYS) + 1)
    for index in (0, 1):
        own = [each.choices[0] for each in chunks if each.choices[0].index == index]
        assert own[0].delta.role == "assistant"
        assert "".join(each.delta.content or "" for each in own) == "8+2"
        thought = [getattr(each.delta, "reasoning_content", "") or "" for each in own]
        assert "".join(thought) == "8+2=10"
        assert [each.finish_reason for each in own if each.finish_reason] == ["stop"]
    assert len({each.id for each in chunks}) == 1


def test_the_client_reads_probabilities(client):
    answer = client.chat.completions.create(**ASK, logprobs=True, top_logprobs=2)
    told = answer.choices[0].logprobs
    assert "".join(each.token for each in told.content) == "<answer>8+2</answer>"
    assert "".join(each["token"] for each in told.reasoning_content) == (
        "<think>8+2=10</think>"
    )
    assert told.content[1].bytes == list(b"8")
    assert [each.logprob for each in told.content[1].top_logprobs] == [-0.5, -0.5]


def test_the_client_goes_on_with_texts(client, engine):
    answer = client.completions.create(
        model="parrot", prompt=["a", "b"], n=2, logprobs=1, stop="</answer>"
    )
    assert [each.index for each in answer.choices] == [0, 1, 2, 3]
    assert {each.text for each in answer.choices} == {THOUGHT.split("</answer>")[0]}
    told = answer.choices[0].logprobs
    starts = [answer.choices[0].text.index(told.tokens[1], 1)]
    assert told.text_offset[1:2] == starts
    stream = client.completions.create(
        model="parrot", prompt=[5, 6], stream=True, max_tokens=3, logprobs=0
    )
    chunks = [each.choices[0] for each in stream]
    assert engine.asked[-1][0] == [5, 6]
    assert "".join(each.text for each in chunks) == "<think>8+"
    assert chunks[-1].finish_reason == "length"
    offsets = [
        at for each in chunks if each.logprobs for at in each.logprobs.text_offset
    ]
    assert offsets == [0, 7, 8]


def test_what_was_asked_reaches_the_engine(client, engine):
    client.chat.completions.create(
        **ASK, temperature=0.5, top_p=0.25, seed=3, n=2, max_completion_tokens=9
    )
    first, second = (sampling for _prompt, sampling in engine.asked[-2:])
    assert (first.temperature, first.top_p, first.max_tokens) == (0.5, 0.25, 9)
    assert (first.seed, second.seed) == (3, 4)
    client.chat.completions.create(**ASK)
    prompt, sampling = engine.asked[-1]
    assert sampling.max_tokens == LONGEST - len(prompt)


def test_messages_may_come_in_parts_and_from_developers(client, engine):
    parts = [{"type": "text", "text": "numbers 8"}, {"type": "text", "text": " 2"}]
    for role in ("system", "developer"):
        rules = {"role": role, "content": "be brief"}
        asked = [rules, {"role": "user", "content": parts}]
        client.chat.completions.create(model="parrot", messages=asked)
    assert engine.asked[-1][0] == engine.asked[-2][0]
    assert "numbers 8 2" in parrot.tokenizer().decode(engine.asked[-1][0])


def test_a_stop_cuts_a_stream_and_ends_the_request(client, engine):
    stream = client.chat.completions.create(**ASK, stop=["=", "x"], stream=True)
    chunks = [each.choices[0] for each in stream]
    thought = [getattr(each.delta, "reasoning_content", "") or "" for each in chunks]
    assert "".join(thought) == "8+2"
    assert chunks[-1].finish_reason == "stop"
    wait_until(lambda: not engine.going)


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ({"model": "gpt-5"}, openai.NotFoundError, "gpt-5"),
        ({"max_tokens": 0}, openai.BadRequestError, "greater than or equal to 1"),
        ({"max_tokens": 10**6}, openai.BadRequestError, "64 are the most"),
        ({"temperature": "hot"}, openai.BadRequestError, "valid number"),
        ({"temperature": 3}, openai.BadRequestError, "less than or equal to 2"),
        ({"top_p": 0}, openai.BadRequestError, "greater than 0"),
        ({"stop": ["x"] * 1000}, openai.BadRequestError, "at most 16 items"),
        ({"stop": ""}, openai.BadRequestError, "at least 1 character"),
        ({"n": 1000}, openai.BadRequestError, "less than or equal to 128"),
        ({"messages": []}, openai.BadRequestError, "at least 1 item"),
        ({"top_logprobs": 2}, openai.BadRequestError, "logprobs"),
        ({"tools": [{}]}, openai.BadRequestError, "tools is not served"),
        ({"response_format": {"type": "json_object"}}, openai.BadRequestError, "not s"),
        ({"frequency_penalty": 1}, openai.BadRequestError, "not served"),
        (
            {"messages": [{"role": "user", "content": "8 " * 2000}]},
            openai.BadRequestError,
            "the most for both",
        ),
    ],
)
def test_what_cannot_be_is_refused_as_the_client_expects(client, wrong, kind, words):
    with pytest.raises(kind, match=words) as caught:
        client.chat.completions.create(**ASK | wrong)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.param
    assert client.chat.completions.create(**ASK).choices[0].message.content == "8+2"


def test_fields_that_change_nothing_are_ignored(client):
    extra = {"user": "me", "frequency_penalty": 0, "tools": [], "never_heard_of": 1}
    answer = client.chat.completions.create(**ASK, extra_body=extra)
    assert answer.choices[0].message.content == "8+2"


# --- bodies that no client sends


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no JSON"),
        (b'{"model": "parrot", ', "no JSON"),
        (b'{"model": "\xff\xfe"}', "no JSON"),
        (b'{"model": "\\ud800"}', "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "object"),
        (b"{}", "model"),
        (json.dumps(ASK | {"temperature": float("nan")}).encode(), "finite"),
        (json.dumps(ASK | {"temperature": float("inf")}).encode(), "finite"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_400(home, body, words):
    answer, told = call(home, "POST", CHAT, body)
    assert answer.status == 400
    assert words in told["error"]["message"]
    assert set(told["error"]) == {"message", "type", "param", "code"}


def test_a_body_of_100_mb_is_refused_before_it_is_read(home):
    host, port = urlsplit(home).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        raw.sendall(f"{head}Content-Length: 100000000\r\n\r\n".encode() + b"x" * 1000)
        said = b""
        while b"body_too_large" not in said and (more := raw.recv(4096)):
            said += more
    assert b"413" in said.split(b"\r\n")[0]
    assert b"body_too_large" in said


def test_a_body_without_a_length_is_counted_as_it_comes(home):
    answer, told = call(home, "POST", CHAT, chunks(), Transfer_Encoding="chunked")
    assert (answer.status, told["error"]["code"]) == (413, "body_too_large")


def chunks():
    return b"".join(b"100000\r\n" + b" " * 2**20 + b"\r\n" for _chunk in range(3))


def test_the_client_learns_that_its_body_is_too_large(client):
    messages = [{"role": "user", "content": "x" * 20_000_000}]
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="parrot", messages=messages)
    assert caught.value.status_code == 413


def test_a_page_of_another_site_cannot_ask_with_a_form(home):
    answer, told = call(home, "POST", CHAT, ASK, Content_Type="text/plain")
    assert answer.status == 415
    assert "application/json" in told["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("GET", CHAT, 405)]
)
def test_other_paths_and_methods_are_refused_in_the_same_shape(
    home, method, path, status
):
    answer, told = call(home, method, path)
    assert answer.status == status
    assert told["error"]["type"] == "invalid_request_error"


# --- coming and going


def wait_until(condition):
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_blocks_at_once(stream):
    engine = Parrot([SAYS[0]] * 10**6)
    body = json.dumps(ASK | {"stream": stream, "model": "parrot"}).encode()
    with served(engine, longest=10**6) as (home, server):
        host, port = urlsplit(home).netloc.split(":")
        with socket.create_connection((host, int(port))) as raw:
            head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
            raw.sendall(
                f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            )
            wait_until(lambda: server._worker.stats.blocks_used)
        began = time.monotonic()
        wait_until(lambda: not server._worker.stats.blocks_used)
        assert time.monotonic() - began < 1
        assert engine.aborted == [0]


def test_a_full_queue_says_when_to_come_again():
    engine = Parrot(SAYS, most=1)
    with served(engine) as (home, _server):
        answer, told = call(home, "POST", CHAT, ASK | {"n": 2})
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "7"
        assert told["error"]["type"] == "rate_limit_error"
        answer, _told = call(home, "POST", CHAT, ASK)
        assert answer.status == 200


def test_a_server_that_closes_finishes_what_began_and_refuses_the_rest():
    engine = Parrot(SAYS)
    with served(engine) as (home, server):
        client = openai.OpenAI(base_url=f"{home}/v1", api_key="none", max_retries=0)
        with client:
            engine.may_step.clear()
            stream = client.chat.completions.create(**ASK, stream=True)
            next(iter(stream))
            server.handle_exit(15, None)
            wait_until(lambda: server._worker.is_closing)
            with pytest.raises(openai.InternalServerError) as caught:
                client.chat.completions.create(**ASK)
            assert caught.value.status_code == 503
            assert caught.value.response.headers["Retry-After"] == "10"
            assert call(home, "GET", "/health")[0].status == 503
            engine.may_step.set()
            said = [each.choices[0].delta.content or "" for each in stream]
        assert "".join(said) == "8+2"
        wait_until(lambda: server.should_exit)


def test_a_step_that_fails_is_a_500_or_the_end_of_a_stream():
    engine = Parrot(SAYS, breaks_at=1)
    with served(engine) as (home, _server):
        answer, told = call(home, "POST", CHAT, ASK)
        assert (answer.status, told["error"]["type"]) == (500, "server_error")
        assert "fails" not in told["error"]["message"]
        engine.breaks_at = engine.steps + 3
        client = openai.OpenAI(base_url=f"{home}/v1", api_key="none", max_retries=0)
        with client, pytest.raises(openai.APIError, match="went wrong"):
            list(client.chat.completions.create(**ASK, stream=True))
        answer, _told = call(home, "POST", CHAT, ASK)
        assert answer.status == 200


# --- what people and machines look at


def test_health_and_metrics_tell_where_the_server_stands(home):
    answer, told = call(home, "GET", "/health")
    assert (answer.status, told["status"], told["blocks_used"]) == (200, "ok", 0)
    call(home, "POST", CHAT, ASK)
    _answer, page = call(home, "GET", "/metrics")
    assert 'sparrow_requests_total{path="/v1/chat/completions",status="200"}' in page
    assert "sparrow_blocks_used 0.0" in page
    assert "sparrow_first_token_seconds_count" in page


def test_the_page_may_speak_to_nobody_but_its_server(home):
    answer, page = call(home, "GET", "/")
    assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    _answer, told = call(home, "GET", "/page.json")
    assert "target" in told["examples"][0]
    assert told["direction"] == "ltr"


def test_a_port_that_is_taken_is_one_sentence_or_the_next_port():
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port}"):
            listen("127.0.0.1", port)
    with listen("127.0.0.1", None) as one, listen("127.0.0.1", None) as other:
        assert other.getsockname()[1] > one.getsockname()[1]
