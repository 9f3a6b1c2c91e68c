import pytest
import torch

from lab.errors import UserError
from lightning_models.networks.char_rnn import CharRNN
from lightning_models.networks.recurrent import LSTM


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # the networks of report 1, over the 100 characters of string.printable
        ({"cell": "rnn", "hidden_dim": 100}, 40_300),
        ({"cell": "gru", "hidden_dim": 100}, 80_700),
        ({"cell": "lstm", "hidden_dim": 100}, 100_900),
        ({"cell": "lstm", "hidden_dim": 150}, 211_300),
        ({"cell": "lstm", "hidden_dim": 150, "implementation": "scratch"}, 211_300),
        ({"cell": "lstm", "hidden_dim": 150, "tie_weights": True}, 196_300),  # 100 x 150 fewer
        ({"cell": "lstm", "hidden_dim": 150, "embedding_dim": 20}, 211_300 - 130 * (100 + 600)),
    ],
)
def test_parameter_counts(options, expected):
    assert sum(p.numel() for p in CharRNN(100, **options).parameters()) == expected


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("implementation", ["torch", "scratch"])
def test_a_text_in_pieces_with_carried_state_is_the_text_at_once(cell, implementation):
    network = CharRNN(11, cell, num_layers=2, hidden_dim=8, implementation=implementation)
    tokens = torch.randint(11, (3, 20))
    at_once, last = network(tokens)
    pieces, state = [], None
    for piece in tokens.split([7, 1, 12], dim=1):
        logits, state = network(piece, state)
        pieces.append(logits)
    assert torch.allclose(torch.cat(pieces, dim=1), at_once, atol=1e-6)
    for part, expected in zip(state if cell == "lstm" else [state], last if cell == "lstm" else [last], strict=True):
        assert torch.allclose(part, expected, atol=1e-6)
        assert part.shape == (2, 3, 8)
    forgotten, _ = network(tokens[:, 7:])
    assert not torch.allclose(forgotten, at_once[:, 7:], atol=1e-3)


def test_tied_weights_are_one_and_need_one_width():
    network = CharRNN(11, hidden_dim=8, tie_weights=True)
    assert network.head.weight is network.embedding.weight
    with pytest.raises(ValueError, match=r"as wide as the hidden state, found 4 and 8: leave embedding_dim out"):
        CharRNN(11, hidden_dim=8, embedding_dim=4, tie_weights=True)


def test_dropout_works_in_training_alone():
    network = CharRNN(11, hidden_dim=8, dropout=0.5)
    tokens = torch.randint(11, (3, 20))
    assert not torch.equal(network(tokens)[0], network(tokens)[0])
    network.eval()
    assert torch.equal(network(tokens)[0], network(tokens)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_dim": 0}, "hidden_dim is 0: use whole numbers from 1 up"),
        ({"num_layers": 0}, "num_layers is 0"),
        ({"embedding_dim": 0}, "embedding_dim is 0"),
        ({"vocab_size": 0}, "vocab_size is 0"),
        ({"dropout": 1.0}, r"dropout is 1\.0: expected a number from 0 to below 1"),
        ({"dropout": -0.1}, r"dropout is -0\.1"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(UserError, match=message):
        CharRNN(**{"vocab_size": 11, **options})


def test_every_option_reaches_the_layers():
    options = {"num_layers": 2, "dropout": 0.25, "implementation": "scratch", "forget_bias": 2.0}
    network = CharRNN(11, "lstm", hidden_dim=5, embedding_dim=4, **options)
    layers = network.recurrent
    assert (type(layers), layers.input_size, layers.hidden_size, layers.num_layers) == (LSTM, 4, 5, 2)
    assert (layers.dropout, network.dropout.p) == (0.25, 0.25)
    assert (layers.bias_ih_l0 + layers.bias_hh_l0)[5:10].tolist() == [2.0] * 5
    assert isinstance(CharRNN(11, "gru").recurrent, torch.nn.GRU)
    default = CharRNN(11)
    assert (type(default.recurrent), default.head.in_features, default.dropout.p) == (torch.nn.LSTM, 150, 0.0)


def test_dropout_is_applied_to_inputs_and_outputs_of_the_recurrent_layers():
    network, shapes, inputs = CharRNN(11, "gru", hidden_dim=5, embedding_dim=4, dropout=0.25), [], []
    network.dropout.register_forward_hook(lambda _, args, dropped: shapes.append(args[0].shape) or dropped * 0)
    network.recurrent.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    logits, _ = network(torch.ones(2, 6, dtype=torch.long))
    assert shapes == [(2, 6, 4), (2, 6, 5)]
    assert not inputs[0].any()
    torch.testing.assert_close(logits, network.head.bias.expand(2, 6, -1))


def test_tied_weights_start_so_that_logits_are_of_order_1():
    network = CharRNN(5000, hidden_dim=64, tie_weights=True)
    assert network.head.weight.std().item() == pytest.approx(1 / 8, rel=0.02)
