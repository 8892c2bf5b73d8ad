"""A checkpoint comes back as it was; a broken one is refused and harms nothing."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from sparrow import Config, Sparrow
from sparrow.config import Yarn
from sparrow.errors import CheckpointError, StorageError
from sparrow.model import published

from .test_model import GQA, MLA

SAVED = {
    "mla": MLA,
    "mla, dense": MLA.replace(feed_forward="dense"),
    "mla, tied": MLA.replace(tie_word_embeddings=True),
    "mla, yarn": MLA.replace(
        yarn=Yarn(factor=2.0, original_max_position_embeddings=32)
    ),
    "gqa": GQA,
}


def comparable(config: Config) -> Config:
    """Without the fields that a dense model does not use and does not save."""
    if config.attention == "gqa":
        return Config(
            **{k: getattr(config, k) for k in published.COMMON + published.GROUPED},
            attention="gqa",
            feed_forward="dense",
        )
    if config.feed_forward == "moe":
        return config
    names = published.COMMON + published.LATENT
    return Config(
        **{k: getattr(config, k) for k in names}, feed_forward="dense", yarn=config.yarn
    )


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    Sparrow(MLA).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_model_comes_back_bit_for_bit(name, tmp_path):
    model = Sparrow(SAVED[name])
    for gate in model.gates():
        gate.e_score_correction_bias.normal_()
    model.save_pretrained(tmp_path)
    again = Sparrow.from_pretrained(tmp_path)
    assert again.config == comparable(SAVED[name])
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    x = torch.randint(41, (1, 9))
    with torch.no_grad():
        assert torch.equal(model(x), again(x))


def test_a_tied_model_stays_tied(tmp_path):
    Sparrow(SAVED["mla, tied"]).save_pretrained(tmp_path)
    again = Sparrow.from_pretrained(tmp_path)
    assert again.lm_head.weight is again.embed_tokens.weight


def test_a_model_that_was_opened_can_be_trained(folder):
    model = Sparrow.from_pretrained(folder)
    model(torch.randint(41, (2, 5))).square().mean().backward()
    assert all(
        each.grad is not None
        for name, each in model.named_parameters()
        if not name.startswith("mtp")
    )


def test_weights_in_several_files_are_read(folder):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: weights[name] for name in part}, folder / file)
    index = {name: file for file, part in parts.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": index})
    )
    assert Sparrow.from_pretrained(folder).config == MLA


def test_half_precision_is_kept(tmp_path):
    Sparrow(MLA).bfloat16().save_pretrained(tmp_path)
    assert Sparrow.from_pretrained(tmp_path).dtype == torch.bfloat16
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint at .*nowhere"):
        Sparrow.from_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize("kept_frac", [0, 0.001, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(folder, kept_frac):
    file = folder / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * kept_frac)])
    with pytest.raises(CheckpointError, match="cannot be read .* copy it again"):
        Sparrow.from_pretrained(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"model_type": "deepseek_v3"}']
)
def test_a_broken_config_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match="cannot be read|whole model"):
        Sparrow.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"model_type": "mamba"},
            'is a "mamba" model; Sparrow reads deepseek_v3, llama',
        ),
        ({"hidden_act": "gelu"}, "hidden_act = gelu, which Sparrow does not have"),
        ({"attention_bias": True}, "attention_bias = True"),
        ({"rope_scaling": {"type": "linear"}}, 'stretches its context by "linear"'),
        ({"num_hidden_layers": 3}, "do not fit its config.json"),
        ({"kv_lora_rank": 12}, r"has shape .* config.json asks for"),
        ({"kv_lora_rank": 0}, "kv_lora_rank must be at least 1"),
    ],
)
def test_a_foreign_checkpoint_is_refused(folder, change, sentence):
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**told, **change}))
    with pytest.raises(CheckpointError, match=sentence):
        Sparrow.from_pretrained(folder)


def test_a_pair_that_transformers_cannot_hold_is_not_saved(tmp_path):
    model = Sparrow(GQA.replace(feed_forward="moe"))
    with pytest.raises(CheckpointError, match="Llama's layout"):
        model.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        Sparrow(MLA).save_pretrained(tmp_path / "file" / "model")


def test_a_full_disk_leaves_the_old_checkpoint_whole(folder, monkeypatch):
    before = (folder / "model.safetensors").read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        Sparrow(MLA).save_pretrained(folder)
    assert (folder / "model.safetensors").read_bytes() == before
    assert sorted(each.name for each in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


@pytest.mark.parametrize("data", [b"", b"GGUF", b"not a model at all" * 99])
def test_a_broken_gguf_file_is_refused(tmp_path, data):
    (tmp_path / "model.gguf").write_bytes(data)
    with pytest.raises(CheckpointError, match="not a whole GGUF file"):
        Sparrow.from_pretrained(tmp_path / "model.gguf")


def test_a_truncated_gguf_file_is_refused(smollm2, tmp_path):
    [real] = smollm2.glob("*.gguf")
    with real.open("rb") as file:
        (tmp_path / "model.gguf").write_bytes(file.read(5_000_000))
    with pytest.raises(CheckpointError, match="not a whole GGUF file"):
        Sparrow.from_pretrained(tmp_path)
