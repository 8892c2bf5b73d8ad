"""Voting and choosing: against every possible draw of k samples."""

from itertools import combinations, permutations

import pytest

from sparrow.errors import UsageError
from sparrow.evaluate import voting
from sparrow.evaluate.passk import pass_at_k
from sparrow.evaluate.voting import best_of_n, majority_vote, self_consistency
from sparrow.runtime import generator

SAID = [["7", "7", "5", None, "5", "7"], ["1", "2", "3", "2", None, "2"]]
RIGHT = [[1, 1, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0]]
TOKENS = [[10, 20, 30, 40, 50, 60], [5, 5, 5, 5, 5, 5]]
LIKED = [[0.9, 0.2, 0.9, 0.1, 0.5, 0.2], [0.3, 0.3, 0.3, 0.8, 0.1, 0.0]]


def options():
    return {"generator": generator(0)}


def test_the_most_votes_win_and_silence_does_not_vote():
    assert majority_vote(["5", None, None, "7", None, "7"]) == "7"
    assert majority_vote(["5", "7", "7", "5"]) == "5"
    assert majority_vote([None, None]) is None
    assert majority_vote([]) is None


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_self_consistency_is_the_mean_over_all_draws(k, monkeypatch):
    monkeypatch.setattr(voting, "SHUFFLES", 3000)
    wanted = []
    for said, right in zip(SAID, RIGHT, strict=True):
        table = dict(zip(said, right, strict=True)) | {None: 0}
        draws = list(permutations(said, k))
        wanted.append(sum(table[majority_vote(draw)] for draw in draws) / len(draws))
    (found,) = self_consistency(SAID, RIGHT, TOKENS, [k], **options())
    assert found.accuracy.estimate == pytest.approx(sum(wanted) / 2, abs=0.02)


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_best_of_n_is_the_mean_over_all_draws(k):
    wanted = []
    for liked, right in zip(LIKED, RIGHT, strict=True):
        draws = list(combinations(range(6), k))
        total = 0.0
        for draw in draws:
            best = max(liked[each] for each in draw)
            equal = [right[each] for each in draw if liked[each] == best]
            total += sum(equal) / len(equal)
        wanted.append(total / len(draws))
    (found,) = best_of_n(LIKED, RIGHT, TOKENS, [k], **options())
    assert found.accuracy.estimate == pytest.approx(sum(wanted) / 2)


def test_with_a_perfect_verifier_it_is_pass_at_k():
    for point in best_of_n(RIGHT, RIGHT, TOKENS, [1, 2, 4, 6], **options()):
        wanted = (pass_at_k(6, 3, point.k) + pass_at_k(6, 1, point.k)) / 2
        assert point.accuracy.estimate == pytest.approx(wanted)


def test_a_point_tells_its_cost_and_its_doubt():
    one, three = best_of_n(LIKED, RIGHT, TOKENS, [1, 3], **options())
    assert (one.k, one.tokens, three.tokens) == (1, 20, 60)
    assert 0 <= one.accuracy.low < one.accuracy.estimate < one.accuracy.high <= 1
    assert one.accuracy.n == 2


@pytest.mark.parametrize("ks", [[0], [1, 7]])
def test_more_votes_than_samples_are_refused(ks):
    with pytest.raises(UsageError, match=r"k must be in 1..6; got"):
        self_consistency(SAID, RIGHT, TOKENS, ks, **options())
    with pytest.raises(UsageError, match=r"k must be in 1..6; got"):
        best_of_n(LIKED, RIGHT, TOKENS, ks, **options())


@pytest.mark.parametrize("table", [[], [[1, 1]], [[1, 1, 0, 0, 0, 1], [1]]])
def test_tables_of_different_shapes_are_refused(table):
    with pytest.raises(UsageError, match="equally many samples"):
        best_of_n(LIKED, table, TOKENS, [1], **options())
    with pytest.raises(UsageError, match="equally many samples"):
        self_consistency(SAID, RIGHT, table, [1], **options())
