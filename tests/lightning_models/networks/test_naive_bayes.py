import numpy as np
import pytest
import torch
from sklearn.naive_bayes import MultinomialNB
from torch import nn

from lightning_models.networks.naive_bayes import NaiveBayes, hashed_ngrams

LENGTHS = torch.tensor([3, 7, 1, 5, 6])
LABELS = torch.tensor([0, 1, 2, 1, 0])


def padded():
    return torch.where(torch.arange(7) < LENGTHS[:, None], torch.randint(1, 9, (5, 7)), 0)


def counted(characters, **options):
    model = NaiveBayes(3, **{"buckets": 50, "most": 3, **options})
    model.count_all([(characters, LENGTHS, LABELS)])
    nn.init.ones_(model.weights)
    return model


def test_it_is_scikit_learns_on_the_same_features():
    characters = padded()
    model = counted(characters, smoothing=0.3)
    features = np.zeros((5, 50))
    rows = hashed_ngrams(characters, 3) % 50
    for line, length in enumerate(LENGTHS):
        for step in range(length):
            for order in range(min(3, step + 1)):  # n-grams that begin before the line are none
                features[line, rows[line, step, order]] += 1
    expected = MultinomialNB(alpha=0.3, fit_prior=False).fit(features, LABELS).predict_log_proba(features)
    found = model(characters, LENGTHS).log_softmax(dim=1)
    torch.testing.assert_close(found, torch.from_numpy(expected).float(), rtol=1e-4, atol=1e-4)


def test_ngrams_over_the_ends_of_a_line_count_as_those_of_a_line_with_signs_at_its_ends():
    characters = padded()
    model = counted(characters, buckets=100_003, edges=True)
    sign = 0
    written = [[sign, *line[:length].tolist(), sign] for line, length in zip(characters, LENGTHS, strict=True)]
    expected = {}
    for label, line in zip(LABELS.tolist(), written, strict=True):
        for order in (1, 2, 3):
            for first in range(len(line) - order + 1):
                ngram = tuple(line[first : first + order])
                if ngram != (sign,):
                    expected[ngram, label] = expected.get((ngram, label), 0) + 1
    found = model.counts[model.counts > 0]
    assert sorted(found.tolist()) == sorted(expected.values())
    assert model.totals.sum() == sum(expected.values())


@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize("buckets", [10_000, 7])  # with 7, n-grams of a line share rows
@pytest.mark.parametrize("line", [[1, 2, 3, 4, 5], [1, 1, 1, 1, 1], [2, 1, 2, 1, 0]])
def test_a_line_is_left_out_of_its_own_counts(line, buckets, edges):
    characters = torch.tensor([line, [1, 2, 9, 8, 7], [6, 5, 4, 3, 2]])
    lengths, labels = torch.tensor([5 - line.count(0), 5, 5]), torch.tensor([0, 0, 1])
    everything = NaiveBayes(2, buckets, edges=edges)
    everything.count(characters, lengths, labels)
    for number in range(3):
        others, kept = NaiveBayes(2, buckets, edges=edges), torch.arange(3) != number
        others.count(characters[kept], lengths[kept], labels[kept])
        left_out = everything(characters, lengths, labels)[number]
        torch.testing.assert_close(left_out, others(characters, lengths)[number])
        assert not torch.allclose(everything(characters, lengths)[number], left_out)


def test_a_line_alone_in_its_class_says_next_to_nothing_for_it():
    characters, lengths = torch.tensor([[1, 1, 1, 1, 1, 1], [2, 3, 4, 2, 3, 4]]), torch.tensor([6, 6])
    model = NaiveBayes(2, 4096, most=2)
    model.count(characters, lengths, torch.tensor([0, 1]))
    assert model(characters, lengths, torch.tensor([0, 1])).abs().max() < 0.1


def test_counting_again_starts_afresh():
    characters = padded()
    once = counted(characters)
    before = once.counts.clone()
    once.count_all([(characters, LENGTHS, LABELS)])
    assert torch.equal(once.counts, before)
    assert once.counts.sum() == once.totals.sum() == 22 + 17 + 13  # 1-, 2- and 3-grams


@pytest.mark.parametrize("edges", [False, True])
def test_what_is_behind_the_end_is_not_read(edges):
    characters = padded()
    model = counted(characters, edges=edges)
    disturbed = torch.where(torch.arange(7) < LENGTHS[:, None], characters, 8)
    assert torch.equal(model(disturbed, LENGTHS), model(characters, LENGTHS))


@pytest.mark.parametrize("edges", [False, True])
def test_the_weight_of_each_order_is_learned(edges):
    characters = padded()
    model = counted(characters, edges=edges)
    nn.functional.cross_entropy(model(characters, LENGTHS, LABELS), LABELS).backward()
    is_used = torch.ones_like(model.weights, dtype=torch.bool)
    is_used[1:, 0] = False  # a sign alone, at the end of each line, says nothing
    assert torch.equal(model.weights.grad != 0, is_used)
    with torch.no_grad():
        model.weights.zero_()
        assert not model(characters, LENGTHS).any()


@pytest.mark.parametrize("most", [1, 4])
def test_equal_ngrams_have_equal_numbers(most):
    numbers = hashed_ngrams(torch.tensor([[5, 6, 7, 8, 5, 6, 7, 8]]), most)
    assert numbers.shape == (1, 8, most)
    assert torch.equal(numbers[0, 3], numbers[0, 7])
    assert len(numbers[0, 3:7].flatten().unique()) == 4 * most


@pytest.mark.parametrize("buckets", [50_000, 65_536, 262_144, 1_000_003])
def test_n_grams_share_rows_by_chance_only_whatever_the_number_of_buckets(buckets):
    pairs = torch.cartesian_prod(torch.arange(60), torch.arange(60))
    rows = hashed_ngrams(pairs, 2)[:, 1, 1] % buckets
    expected = buckets * (1 - (1 - 1 / buckets) ** len(pairs))  # rows that are met when each is drawn by chance
    assert len(rows.unique()) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("edges", [False, True])
def test_defaults(edges):
    model = NaiveBayes(3, 100, edges=edges)
    assert (model.most, model.smoothing, model.edges) == (5, 0.1, edges)
    assert torch.equal(model.weights, torch.full((1 + edges, 5), 0.1))  # half a vote for all orders together
