"""Any reasoning-gym family can be asked, split and judged, whatever is answered."""

import random
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("reasoning_gym", reason="the extra gym is not installed")

from sparrow.errors import ConfigError
from sparrow.verify import score
from sparrow.verify.families import ASKS_ITS_SCORER, LISTS_ANSWERS, refused
from sparrow.verify.gym import GymProblem, gym_problems, is_held_out, plain
from sparrow.verify.quiet import quiet

# quick ones: code, logic, language, lists, several right answers, one that prints, one
# that draws from Python's own generator, one that draws from numpy's
QUICK = [
    "bf",
    "knights_knaves",
    "syllogism",
    "family_relationships",
    "list_functions",
    "n_queens",
    "graph_color",
    "pool_matrix",
    "jugs",
    "tower_of_hanoi",
]
HOSTILE = [
    "",
    " \n ",
    "9**9**9",
    "__import__('os').abort()",
    "[" * 900,
    "(" * 900,
    "-" * 1_000_000,
    "9" * 1_000_000,
    "9" * 990,
    "1e999999999",
    "0x" + "f" * 900,
    "3/0",
    "٣",
    "\0",
    "\ud800",
    '{"0": 1' * 100,
    '["fill A", "pour A->Z"]',
    '["w,A1,A1"]',
    "null",
    "{}",
    "[]",
    "[[]]",
    '[{"Agent[0.5, 0.5]": "move(box_red, square[9, 9])"}]',
    "U999999999",
    "A+999999999",
    "A=1,B=2",
    "A" * 1000,
    "B→" * 400,
    "Move disk 1 from Peg 99 to Peg -1",
    "UDLR" * 240,
    "¬" * 900,
    "nan",
]


def some(family: str, count: int = 3, seed: int = 1, **kind: bool) -> list[GymProblem]:
    return gym_problems(family, count, seed=seed, held_out=kind.get("held_out", False))


@pytest.mark.parametrize("family", QUICK)
def test_a_family_gives_as_many_problems_as_are_asked_for(family):
    made = some(family, 5)
    assert len(made) == 5
    assert {each.family for each in made} == {f"gym:{family}"}
    for each in made:
        assert each.question.strip()
        for answer in each.answers:
            assert each.judge(answer).correctness == 1.0
            assert score(each, f"<think></think><answer>{answer}</answer>").reward == 1


@pytest.mark.parametrize("family", QUICK)
def test_the_same_seed_gives_the_same_problems_and_another_seed_others(family):
    made = some(family, 4)
    random.random()
    assert made == some(family, 4)
    assert made == some(f"gym:{family}", 4)
    assert made == some(family, 8)[:4]
    assert {p.question for p in made} != {p.question for p in some(family, 4, seed=2)}


def test_neighbouring_seeds_share_next_to_nothing():
    # reasoning-gym itself gives seeds 1 and 2 all problems but one in common
    of = [{p.question for p in some("list_functions", 100, seed)} for seed in (1, 2)]
    assert not of[0] & of[1]


@pytest.mark.parametrize("family", ["syllogism", "knights_knaves,n_people=3", "bf"])
def test_no_problem_is_on_both_sides(family):
    train = some(family, 400)
    tests = some(family, 40, seed=2, held_out=True)
    assert len({each.core for each in tests}) == 40
    assert not {each.core for each in train} & {each.core for each in tests}
    assert not {p.question for p in train} & {p.question for p in tests}
    name = family.partition(",")[0]
    assert all(is_held_out(name, each.core) for each in tests)
    assert not any(is_held_out(name, each.core) for each in train)


def test_other_words_do_not_move_a_problem_to_the_other_side():
    # two ways to ask for the output of one program; two names for one pair of islanders
    programs = {}
    for each in some("bf", 1500):
        programs.setdefault(each.core, set()).add(each.question)
        assert each.core in each.question
    assert max(map(len, programs.values())) > 1
    islands = {each.core for each in some("knights_knaves", 300)}
    assert not any("Charlotte" in each for each in islands)


def test_one_question_in_twenty_is_held_out():
    share = sum(is_held_out("bf", f"question {i}") for i in range(20_000)) / 20_000
    assert share == pytest.approx(0.05, abs=0.005)  # three standard deviations


@pytest.mark.parametrize("family", QUICK)
@pytest.mark.parametrize("answer", HOSTILE, ids=lambda text: repr(text[:12]))
def test_no_answer_raises_takes_long_or_earns_by_chance(family, answer):
    problem = some(family, 1)[0]
    started = time.perf_counter()
    judged = problem.judge(answer)
    assert time.perf_counter() - started < 2.0
    assert (judged.correctness, judged.why != "") == (0.0, True)


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(ASKS_ITS_SCORER | set(LISTS_ANSWERS)))
def test_no_answer_harms_where_a_scorer_is_asked(family):
    problem = some(family, 1)[0]
    for answer in HOSTILE:
        started = time.perf_counter()
        assert problem.judge(answer).correctness in (0.0, 1.0)
        assert time.perf_counter() - started < 2.0


def test_a_scorer_that_fails_or_writes_into_the_problem_does_no_harm():
    def scorer(answer: str, entry: dict[str, list[int]]) -> float:
        entry["seen"].append(1)
        print("noise")
        if answer == "deep":
            raise RecursionError
        return float(len(entry["seen"]) == 1)

    problem = GymProblem("gym:made", "?", ("7",), "?", scorer, {"seen": []})
    assert [problem.judge("x").correctness for _again in range(3)] == [1.0] * 3
    assert problem.judge("deep").correctness == 0.0


@pytest.mark.parametrize("family", refused())
def test_a_family_with_an_unsafe_scorer_is_refused_with_its_reason(family):
    with pytest.raises(ConfigError, match=refused()[family][:30]):
        some(family)


@pytest.mark.parametrize(
    ("family", "says"),
    [
        ("knight_knaves", "no family 'knight_knaves'; did you mean one of: knights_kn"),
        ("gym:bff", "did you mean one of: bf"),
        ("", "no family ''; did you mean one of: ab"),
        ("bf,difficulty", "'difficulty' in 'bf,difficulty' is no setting"),
        ("bf,hardness=3", "Its settings are: difficulty."),
        ("bf,difficulty=hard", "bf cannot be set up so"),
        ("knights_knaves,n_people=-1", "knights_knaves cannot be set up so"),
    ],
)
def test_a_family_that_cannot_be_asked_is_one_sentence(family, says):
    with pytest.raises(ConfigError) as error:
        some(family)
    assert says in str(error.value)


def test_there_must_be_something_to_ask():
    with pytest.raises(ConfigError, match="count must be at least 1; got 0"):
        some("bf", 0)


def test_more_problems_than_there_are_is_one_sentence():
    # one single number, whose question is not held out
    only = "count_bits,min_n=5,max_n=5"
    assert some(only, 1)[0].answers == ("2",)
    with pytest.raises(ConfigError, match="count_bits.* has no more than 0 problems"):
        some(only, 1, held_out=True)


def test_settings_that_a_family_stumbles_over_are_one_sentence():
    narrow = "knights_knaves,n_people=2,depth_constraint=1,width_constraint=1"
    with pytest.raises(ConfigError, match="no more than 0 problems .*IndexError: "):
        some(narrow)


def test_settings_stand_after_the_name_or_are_given():
    named = some("gym:chain_sum,min_terms=5,max_terms=5", 3)
    given = gym_problems(
        "chain_sum", 3, seed=1, held_out=False, min_terms=5, max_terms=5
    )
    assert named == given != some("chain_sum", 3)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("[1, 23]", True),
        ("[1,23]", True),
        (" [ 1 ,  23 ] \n", True),
        ("[12, 3]", False),
        ("[1 23]", False),
        ("1, 23", False),
    ],
)
def test_spaces_at_borders_make_no_difference_and_others_do(answer, right):
    problem = GymProblem("gym:made", "?", ("[1, 23]",))
    assert problem.judge(answer).correctness == right


def test_rows_stay_rows_and_capitals_do_not_matter():
    assert plain("1  2\n\n 3 4 \n") == "1 2\n3 4" != plain("1 2 3 4")
    assert plain("Yes") == plain("yes")


def test_an_answer_may_be_as_long_as_twice_the_right_one():
    problem = GymProblem("gym:made", "?", ("7" * 3000,))
    assert problem.judge("7" * 3000).correctness == 1.0
    assert "at most 6000 are read" in problem.judge("7" * 6001).why


def test_nobody_notices_that_problems_are_made(capfd):
    random.seed(3)
    np.random.seed(3)
    before = random.getstate(), np.random.get_state()[1].tolist()
    for family in ("bf", "list_functions", "pool_matrix", "tower_of_hanoi"):
        some(family, 2)[0].judge("Move disk 1 from Peg 9 to Peg 9")
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert capfd.readouterr() == ("", "")


def test_quiet_code_draws_what_its_seed_says():
    draws = []
    for seed in (1, 1, 2):
        with quiet(seed=seed):
            draws.append((random.random(), np.random.random()))
    assert draws[0] == draws[1]
    assert draws[0][0] != draws[2][0]
    assert draws[0][1] != draws[2][1]


def test_quiet_gives_back_the_generators_when_its_body_fails():
    before = random.getstate()
    with pytest.raises(ZeroDivisionError), quiet(seed=1):
        print(1 / int(random.random()))
    assert random.getstate() == before


def test_importing_the_module_does_not_import_reasoning_gym():
    code = "import sys, sparrow.verify.gym; print('reasoning_gym' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_without_reasoning_gym_the_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", None)
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(ConfigError, match=r'pip install "sparrow-workshop\[gym\]"'):
        some("bf")
