"""SmolLM2's real weights give transformers' logits on real text, and talk."""

import pytest
import torch

from sparrow import Config, Sparrow
from sparrow.assets import ASSETS
from sparrow.decode import generate
from sparrow.talk import Conversation
from sparrow.text import Tokenizer

# A paragraph of this project's own, with digits, accents and another script.
TEXT = (
    "A sparrow is small, but it has every organ. In 2025 a model learned to reason "
    "from reward alone; its weights were published. Nairobi, São Tomé, 麻雀: 671 + 37."
)


@pytest.fixture(scope="module")
def model(smollm2):
    return Sparrow.from_pretrained(smollm2).eval()


def test_the_preset_is_the_shape_of_the_real_weights(model):
    assert model.config == Config.preset("smollm2")
    assert model.count_parameters() == 134_515_008


def test_logits_equal_transformers_on_real_text(model, smollm2):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = ASSETS["smollm2"].file_name
    theirs = AutoModelForCausalLM.from_pretrained(smollm2, gguf_file=file).eval()
    their_ids = AutoTokenizer.from_pretrained(smollm2, gguf_file=file).encode(TEXT)
    ids = Tokenizer(smollm2).encode(TEXT)
    assert ids == their_ids
    with torch.no_grad():
        ours, reference = model(torch.tensor([ids])), theirs(torch.tensor([ids])).logits
    # thirty layers, logits up to about 30: float32 leaves 1e-4 between two orders
    torch.testing.assert_close(ours, reference, atol=1e-3, rtol=0)


def test_the_chat_template_is_the_models_own(smollm2):
    from transformers import AutoTokenizer

    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is 2 + 2?"},
    ]
    theirs = AutoTokenizer.from_pretrained(smollm2)
    text = theirs.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True
    )
    assert Tokenizer(smollm2).chat(messages) == Tokenizer(smollm2).encode(text)


def test_it_knows_what_every_reader_knows(model, smollm2):
    tokenizer = Tokenizer(smollm2)
    prompt = tokenizer.encode("The capital of France is")
    [completion] = generate(model, [prompt], max_new_tokens=3, temperature=0)
    assert "Paris" in tokenizer.decode(completion.tokens)


def test_a_second_turn_reads_only_what_is_new(model, smollm2):
    talk = Conversation(model, Tokenizer(smollm2), temperature=0, max_new_tokens=6)
    "".join(talk.ask("Say hello."))
    fresh = Conversation(model, Tokenizer(smollm2), temperature=0, max_new_tokens=6)
    fresh.messages = list(talk.messages)
    past = talk._cache.length
    assert past > 20
    assert "".join(talk.ask("And again?")) == "".join(fresh.ask("And again?"))
    assert len(talk._read) > past
