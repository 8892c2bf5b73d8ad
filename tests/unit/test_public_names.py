"""The public names are a contract: other programs and every lab call them."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import sparrow

PUBLIC = {
    "sparrow": ["Config", "Sparrow"],
    "sparrow.decode": ["Completion", "generate", "sample", "stream"],
    "sparrow.config": ["PRESETS", "Config", "Yarn"],
    "sparrow.assets": ["ASSETS", "Asset", "find", "folder_of", "get", "is_whole"],
    "sparrow.text": ["Message", "Tokenizer"],
    "sparrow.model": ["Sparrow"],
    "sparrow.quant": [
        "SCHEMES",
        "QuantizedLinear",
        "Scheme",
        "is_quantized",
        "is_stored",
        "load",
        "open_model",
        "quantize",
        "save",
    ],
    "sparrow.model.cache": ["Cache", "bytes_per_token", "features_per_layer"],
    "sparrow.model.mla": [
        "Expanded",
        "LatentAttention",
        "absorbed_context",
        "absorbed_scores",
        "compress",
        "expand",
        "expanded_scores",
    ],
}


@pytest.mark.parametrize("module", PUBLIC)
def test_all_is_the_contract(module):
    assert sorted(importlib.import_module(module).__all__) == sorted(PUBLIC[module])


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_exists_and_says_what_it_is(module):
    loaded = importlib.import_module(module)
    for name in loaded.__all__:
        value = getattr(loaded, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{module}.{name}"


def test_generate_keeps_its_signature():
    from sparrow.decode import generate

    expected = "model, prompts, *, max_new_tokens, temperature, top_p, stop, generator"
    parameters = inspect.signature(generate).parameters.values()
    names = [each.name for each in parameters]
    names.insert(2, "*")
    assert ", ".join(names) == expected
    assert all(each.kind is each.KEYWORD_ONLY for each in list(parameters)[2:])


def test_the_package_says_its_version():
    from importlib.metadata import version

    assert sparrow.__version__ == version("sparrow-workshop")


def test_importing_sparrow_does_not_import_torch():
    import subprocess
    import sys

    code = "import sparrow, sys; import sparrow.cli; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.stdout.strip() == "False"


def test_the_map_of_equations_names_functions_and_tests_that_exist():
    from sparrow.checks import library

    root = Path(__file__).parents[2]
    tests = "\n".join(path.read_text("utf-8") for path in root.glob("tests/*/*.py"))
    text = (root / "book/papers.md").read_text("utf-8")
    rows = re.findall(r"^\| arXiv.*$", text, re.MULTILINE)
    assert len(rows) >= 10
    for row in rows:
        _nothing, _place, functions, test, _end = row.split("|")
        for symbol in re.findall(r"`([^`]+)`", functions):
            library.locate(symbol)
        assert f"def {test.strip().strip('`')}(" in tests, test
