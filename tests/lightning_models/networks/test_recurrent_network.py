import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lightning_models.networks.recurrent import LSTM
from lightning_models.networks.recurrent_network import NGramEmbedding, RecurrentNetwork

LENGTHS = torch.tensor([3, 7, 1, 5])


def padded(vocab_size=9):
    """Random lines of LENGTHS, filled with zeros."""
    return torch.where(torch.arange(7) < LENGTHS[:, None], torch.randint(1, vocab_size, (4, 7)), 0)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "mean_max"])
@pytest.mark.parametrize(
    "options", [{}, {"embedding_dim": 6}, {"embedding_dim": 6, "ngram_buckets": 50, "skip": True}], ids=str
)
def test_a_line_has_the_same_logits_in_any_company(cell, pooling, options):
    network = RecurrentNetwork(
        9, 3, cell, 5, num_layers=2, bidirectional=True, dropout=0.5, pooling=pooling, **options
    ).eval()
    if network.ngrams is not None:
        nn.init.normal_(network.ngrams.table.weight)
    sequences = padded()
    together = network(sequences, LENGTHS)
    for line, length, logits in zip(sequences, LENGTHS, together, strict=True):
        alone = network(line[None, :length], length[None])
        torch.testing.assert_close(alone[0], logits, rtol=1e-5, atol=1e-6)
    disturbed = F.pad(torch.where(sequences == 0, 8, sequences), (0, 2), value=3)  # behind the ends
    torch.testing.assert_close(network(disturbed, LENGTHS), together)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "mean_max"])
def test_both_implementations_say_the_same(pooling):
    options = {"num_layers": 2, "bidirectional": True, "embedding_dim": 4, "pooling": pooling}
    theirs, ours = (RecurrentNetwork(9, 3, "lstm", 5, implementation=kind, **options) for kind in ("torch", "scratch"))
    ours.load_state_dict(theirs.state_dict())
    sequences = padded()
    torch.testing.assert_close(ours(sequences, LENGTHS), theirs(sequences, LENGTHS))


def test_the_pooled_values_are_those_within_the_line():
    network = RecurrentNetwork(9, 3, pooling="mean_max")
    outputs = torch.tensor([[[1.0], [5.0], [100.0]], [[-3.0], [-2.0], [-1.0]]])
    pooled = network.pool(outputs, torch.tensor([[True, True, False], [True, True, True]]))
    assert pooled.tolist() == [[3.0, 5.0], [-2.0, -1.0]]


def test_the_skip_is_a_linear_model_of_the_vectors():
    network = RecurrentNetwork(9, 3, "gru", 5, embedding_dim=4, skip=True).eval()
    with torch.no_grad():
        network.output.weight[:, :5] = 0  # of the recurrent layer
    sequences = torch.tensor([[3, 1, 2, 8]])
    expected = network.output.weight[:, 5:] @ network.embedding.weight[[3, 1]].sum(dim=0) / 2**0.5
    torch.testing.assert_close(network(sequences, torch.tensor([2]))[0], expected + network.output.bias)


def test_a_bidirectional_last_state_is_the_end_of_each_direction():
    network = RecurrentNetwork(9, 2, "gru", 1, bidirectional=True).eval()
    with torch.no_grad():
        network.output.weight.copy_(torch.eye(2))
        network.output.bias.zero_()
    sequences = torch.randint(1, 9, (1, 5))
    outputs, _ = network.recurrent(network.embed(sequences))
    expected = torch.stack([outputs[0, -1, 0], outputs[0, 0, 1]])  # forwards ends last, backwards first
    torch.testing.assert_close(network(sequences, torch.tensor([5]))[0], expected)


def test_published_sizes_of_report_3():
    def count(vocab_size):
        return sum(p.numel() for p in RecurrentNetwork(vocab_size, 10, "lstm", 128).parameters())

    second_bias = 4 * 128  # torch.nn's cells add a bias to both products, the report's to one
    assert count(None) == 67_850 + second_bias
    assert count(10) == 72_458 + second_bias


def test_ngrams_depend_on_what_stands_before_and_on_nothing_else():
    embedding = NGramEmbedding(1000, 4)
    assert not embedding(torch.tensor([[1, 2, 3]])).any()  # before training
    nn.init.normal_(embedding.table.weight)
    first, second = embedding(torch.tensor([[1, 2, 3, 4, 5, 6], [7, 7, 3, 4, 5, 6]]))
    same = [torch.equal(a, b) for a, b in zip(first, second, strict=True)]
    assert same == [False, False, False, False, False, True]  # the last 4-gram is the first without the difference


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "sum"}, "pooling 'sum' is unknown: choose one of 'last', 'mean', 'max', 'mean_max'"),
        ({"embedding_dim": 0}, "embedding_dim is 0"),
        ({"ngram_buckets": 10}, "ngram_buckets is 10: it needs an embedding_dim"),
        ({"ngram_buckets": -1}, "ngram_buckets is -1: expected at least 0"),
        ({"dropout": 1.0}, r"dropout is 1\.0: expected a number from 0 to below 1"),
        ({"dropout": -0.5}, r"dropout is -0\.5"),
        ({"vocab_size": None, "embedding_dim": 3}, "embedding_dim is 3, but the data are numbers: leave it out"),
    ],
)
def test_what_does_not_fit_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        RecurrentNetwork(**{"vocab_size": 9, "num_classes": 3, **options})


def test_it_is_the_only_member_of_itself():
    network = RecurrentNetwork(9, 3, hidden_size=5)
    sequences = padded()
    assert torch.equal(network.member_logits(sequences, LENGTHS), network(sequences, LENGTHS)[None])


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_dropout_works_in_training_alone(share):
    network = RecurrentNetwork(9, 3, hidden_size=5, dropout=share)
    sequences = padded()
    first, second = network(sequences, LENGTHS), network(sequences, LENGTHS)
    assert torch.equal(first, second) is (share == 0)
    network.eval()
    assert torch.equal(network(sequences, LENGTHS), network(sequences, LENGTHS))


def test_every_option_reaches_the_layers():
    options = {"num_layers": 2, "bidirectional": True, "dropout": 0.25, "implementation": "scratch", "forget_bias": 2.0}
    network = RecurrentNetwork(9, 3, "lstm", 5, embedding_dim=4, **options)
    layers = network.recurrent
    assert (type(layers), layers.hidden_size, layers.num_layers, layers.bidirectional) == (LSTM, 5, 2, True)
    assert (layers.dropout, network.dropout.p) == (0.25, 0.25)
    assert (layers.bias_ih_l0 + layers.bias_hh_l0)[5:10].tolist() == [2.0] * 5
    assert isinstance(RecurrentNetwork(9, 3, "gru", 5).recurrent, nn.GRU)


def test_dropout_is_applied_to_what_the_layers_read_and_to_what_is_pooled():
    network, shapes = RecurrentNetwork(9, 3, "gru", 5, embedding_dim=4, dropout=0.25), []
    network.dropout.register_forward_hook(lambda _, args, dropped: shapes.append(args[0].shape) or dropped * 0)
    logits = network(torch.ones(2, 6, dtype=torch.long), torch.tensor([6, 6]))
    assert shapes == [(2, 6, 4), (2, 5)]
    torch.testing.assert_close(logits, network.output.bias.expand(2, -1))
    inputs = []
    network.recurrent.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    network(torch.ones(2, 6, dtype=torch.long), torch.tensor([6, 6]))
    assert not inputs[0].any()  # what dropout has left of the vectors
