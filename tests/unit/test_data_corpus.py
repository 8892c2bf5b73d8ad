"""What is held out is never read, and what is no text is refused in one sentence."""

import re
import time

import pytest
import torch

from sparrow.data import arithmetic, corpus, prose, puzzles
from sparrow.data.contamination import clean, overlap
from sparrow.data.corpus import build
from sparrow.errors import CorpusError, UsageError
from sparrow.runtime import generator

OPERATIONS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


@pytest.fixture(scope="module")
def pico():
    return build("pico", seed=0, size=400_000)


def lines_of(documents):
    return [line for document in documents for line in document.split("\n")]


def is_arithmetic(document):
    return re.fullmatch(r"[\d+\-*/=<>,\n]+", document) is not None


def puzzles_of(documents):
    families = "|".join(puzzles.FAMILIES)
    return [
        line
        for line in lines_of(documents)
        if re.fullmatch(rf"({families}) [\d ]+(target \d+)?: [\d ,=+\-*/]+", line)
    ]


def problem(line):
    """A puzzle's family, and its numbers in an order of their own."""
    family, _space, asked = line.rpartition(": ")[0].partition(" ")
    numbers, target = asked.partition(" target ")[::2]
    order = sorted(numbers.split(), key=int)
    if family == "next":
        order = numbers.split()
    return family, tuple(order), target


def is_true(line):
    """Whether every step of a line of arithmetic is right."""
    for part in line.split(","):
        if match := re.fullmatch(r"(\d+)([+\-*/])(\d+)=(\d+)", part):
            a, b, result = int(match[1]), int(match[3]), int(match[4])
            if OPERATIONS[match[2]](a, b) != result or result > 999:
                return False
        elif match := re.fullmatch(r"(\d+)([<>=])(\d+)", part):
            a, b = int(match[1]), int(match[3])
            if {"<": a < b, ">": a > b, "=": a == b}[match[2]] is False:
                return False
        else:
            return False
    return True


@pytest.mark.parametrize("held_out", [False, True])
def test_every_line_of_arithmetic_is_true(held_out):
    made = arithmetic.lines(generator(1), 2000, held_out=held_out)
    assert len(made) > 1990
    assert [line for line in made if not is_true(line)] == []


def test_a_fact_and_its_mirror_image_are_on_one_side():
    a, b = torch.arange(1000), torch.arange(1000).flip(0)
    for operator in range(5):
        which = torch.full_like(a, operator)
        assert torch.equal(
            arithmetic.is_held_out(which, a, b), arithmetic.is_held_out(which, b, a)
        )


def test_about_one_fact_in_twenty_is_held_out_and_no_small_one():
    a, b = torch.cartesian_prod(torch.arange(300), torch.arange(300)).T
    for operator in range(5):
        held_out = arithmetic.is_held_out(torch.full_like(a, operator), a, b)
        assert 0.045 < held_out.double().mean() < 0.055
        assert not held_out[(a < 10) & (b < 10)].any()


def test_facts_have_one_form_for_both_mirror_images():
    assert arithmetic.facts_of("7+12=19") == arithmetic.facts_of("12+7=19") == ["7+12"]
    assert arithmetic.facts_of("3+4=7,7*5=35") == ["3+4", "5*7"]
    assert arithmetic.facts_of("12>7") == arithmetic.facts_of("7<12") == ["7?12"]
    assert arithmetic.facts_of("numbers 3 7 8 target 29: 3*7=21,21+8=29") == [
        "3*7",
        "8+21",
    ]


def test_training_never_meets_a_held_out_fact(pico):
    """In puzzles neither: their steps are facts, too."""
    met = {fact for line in lines_of(pico.train) for fact in arithmetic.facts_of(line)}
    tested = lines_of(pico.held_out["arithmetic"])
    assert len(met) > 5000
    assert len(tested) > 2000
    for line in tested:
        assert any(fact not in met for fact in arithmetic.facts_of(line)), line


def test_training_never_meets_a_held_out_puzzle(pico):
    met = {problem(line) for line in puzzles_of(pico.train)}
    tested = [problem(line) for line in puzzles_of(pico.held_out["puzzles"])]
    assert len(met) > 1000
    assert len(tested) > 500
    assert not met.intersection(tested)


@pytest.mark.parametrize("held_out", [False, True])
def test_every_puzzle_has_its_right_answer(held_out):
    made = puzzles.lines(generator(2), 1000, held_out=held_out)
    seen = set()
    for line in made:
        asked, answer = line.split(": ")
        family, *words = asked.split()
        seen.add(family)
        if family == "numbers":
            check_steps(words, answer)
            continue
        numbers = [int(word) for word in words]
        if family == "next":
            is_double = numbers[1] == 2 * numbers[0] and numbers[3] == 2 * numbers[2]
            step = numbers[3] - numbers[2]
            right = [numbers[3] * 2 if is_double else numbers[3] + step]
        else:
            right = {
                "sort": sorted(numbers),
                "reverse": numbers[::-1],
                "largest": [max(numbers)],
            }[family]
        assert answer == " ".join(map(str, right)), line
    assert seen == set(puzzles.FAMILIES)


def check_steps(words, answer):
    """Each number is used once, each step is legal, and the last is the target."""
    at = words.index("target")
    hand, target = sorted(words[:at]), words[at + 1]
    for step in answer.split(","):
        assert is_true(step)
        left, result = step.split("=")
        for number in re.split(r"[+\-*/]", left):
            hand.remove(number)
        hand.append(result)
    assert hand == [target]


def test_prose_is_split_by_module_and_has_no_text_twice():
    train = list(prose.documents(60_000, held_out=False))
    held_out = list(prose.documents(20_000, held_out=True))
    assert 60_000 <= sum(len(each.encode()) for each in train) < 75_000
    assert len(set(train)) == len(train)
    assert not set(train) & set(held_out)
    assert train == list(prose.documents(60_000, held_out=False))


def test_prose_is_read_and_not_imported(tmp_path):
    trap = tmp_path / "trap.py"
    trap.write_text(f'"""{"Says enough to be taken. " * 4}"""\nraise SystemExit\n')
    assert len(prose._docstrings(trap)) == 1
    other = tmp_path / "other.py"
    other.write_text("this is no Python")
    assert prose._docstrings(other) == ()


def test_the_same_seed_gives_the_same_corpus_and_another_seed_another(pico):
    assert build("pico", seed=0, size=400_000) == pico
    other = build("pico", seed=1, size=400_000)
    assert other.train != pico.train
    assert other.held_out == pico.held_out, "every run is tested on the same text"


def test_pico_has_the_size_that_was_asked_for_and_half_of_it_is_arithmetic(pico):
    assert 400_000 <= pico.train_bytes < 402_000
    numbers = sum(len(each) for each in pico.train if is_arithmetic(each))
    assert 0.45 < numbers / pico.train_bytes < 0.55
    assert all(sum(map(len, part)) > 30_000 for part in pico.held_out.values())


def test_a_planted_leak_is_found(pico):
    planted = pico.held_out["prose"][3]
    leaky = [*pico.train, f"Somebody copied this. {planted}"]
    found = overlap(leaky, pico.held_out["prose"])
    assert found.met >= 1
    assert found.examples
    assert overlap(pico.train, pico.held_out["prose"]).met == 0
    assert overlap(pico.train, pico.held_out["arithmetic"]).met == 0


def test_overlap_counts_documents_and_shows_the_runs():
    train = ["the cat sat on the mat", "one two three"]
    held_out = ["A cat SAT on a mat", "nothing shared here", "short"]
    found = overlap(train, held_out, n=3)
    assert (found.documents, found.met, found.n) == (2, 1, 3)
    assert found.share_frac == 0.5
    assert found.examples == ("cat sat on",)
    assert overlap(train, [], n=3).share_frac == 0.0
    assert list(clean(train, held_out, n=3)) == ["one two three"]


def test_pico_is_made_in_seconds():
    started = time.process_time()
    made = build("pico", size=2_000_000)
    assert time.process_time() - started < 10  # 8 MB take 7 s on a quiet machine
    assert 2_000_000 <= made.train_bytes < 2_002_000


def write_text(folder, count=60):
    text = "\n\n".join(
        f"Passage {n} says a thing. " + "More. " * 200 for n in range(count)
    )
    (folder / "book.txt").write_text(text, "utf-8")
    return folder / "book.txt"


def test_a_file_of_ones_own_is_split_by_passage(tmp_path):
    file = write_text(tmp_path)
    made = build(file)
    assert len(made.held_out["text"]) == 3
    assert not set(made.train) & set(made.held_out["text"])
    assert sum("Passage" in each for each in made.train) == 57
    assert build(tmp_path) == made, "a folder with one file is that file"
    assert build(str(file)) == made


def test_a_passage_that_is_there_twice_stays_on_one_side(tmp_path):
    write_text(tmp_path)
    (tmp_path / "copy.txt").write_bytes((tmp_path / "book.txt").read_bytes())
    made = build(tmp_path)
    assert not set(made.train) & set(made.held_out["text"])
    assert len(made.train) == 2 * 57


def test_a_long_line_is_cut_and_nothing_is_lost(tmp_path):
    text = "".join(map(str, range(3_000)))
    (tmp_path / "line.txt").write_text(text)
    made = build(tmp_path / "line.txt")
    pieces = [*made.train, *made.held_out["text"]]
    assert sorted("".join(pieces)) == sorted(text)
    assert max(map(len, pieces)) <= corpus.PASSAGE


def test_reading_ends_when_there_is_enough(tmp_path):
    write_text(tmp_path)
    (tmp_path / "z.txt").write_bytes(b"\0 never read")
    assert build(tmp_path, size=10_000).train


def test_one_short_text_can_be_learned_but_has_no_test(tmp_path):
    (tmp_path / "short.txt").write_text("Just this.")
    made = build(tmp_path / "short.txt")
    assert made == corpus.Corpus(("Just this.",), {"text": ()})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"mine\.txt holds no text to learn from\.$"),
        (b" \n\n \n", r"mine\.txt holds no text to learn from\.$"),
        (b"text\0text", r"mine\.txt is no text in UTF-8: convert it"),
        (b"\x89PNG\r\n\xff", r"mine\.txt is no text in UTF-8: convert it"),
        ("é".encode("latin-1"), r"mine\.txt is no text in UTF-8: convert it"),
    ],
)
def test_a_file_that_cannot_be_learned_is_one_sentence(tmp_path, content, sentence):
    file = tmp_path / "mine.txt"
    file.write_bytes(content)
    with pytest.raises(CorpusError, match=sentence):
        build(file)


def test_a_path_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match=r'There is no corpus ".*nowhere": give pico'):
        build(tmp_path / "nowhere")


def test_an_empty_folder_is_one_sentence_and_hidden_files_do_not_count(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "object").write_bytes(b"\0")
    with pytest.raises(CorpusError, match="holds no text to learn from"):
        build(tmp_path)
