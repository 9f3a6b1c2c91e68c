import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lightning_models.networks.recurrent import GRU, LSTM, RNN, recurrent

CELLS = ("rnn", "lstm", "gru")
SHAPES = [{}, {"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}]


def pair(cell, dtype=torch.float64, **options):
    """Torch's network and ours with the same weights."""
    theirs = recurrent(cell, 3, 5, **options).to(dtype)
    ours = recurrent(cell, 3, 5, implementation="scratch", **options).to(dtype)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def flat(outputs):
    """All tensors in the output of a network."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    if isinstance(outputs, nn.utils.rnn.PackedSequence):
        return [outputs.data]
    return [tensor for part in outputs for tensor in flat(part)]


def gradients(network, inputs, outputs):
    """Of a function that weighs every number of the output differently."""
    tensors = flat(outputs)
    weights = [torch.linspace(-1, 2, t.numel(), dtype=t.dtype).view(t.shape) for t in tensors]
    total = sum((t * w).sum() for t, w in zip(tensors, weights, strict=True))
    return torch.autograd.grad(total, [inputs, *network.parameters()])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", SHAPES, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_it_agrees_with_torch_forward_and_backward(cell, options, dtype, tolerance):
    theirs, ours = pair(cell, dtype, **options)
    inputs = torch.randn(4, 6, 3, dtype=dtype, requires_grad=True)
    expected, found = theirs(inputs), ours(inputs)
    for left, right in zip(flat(found), flat(expected), strict=True):
        assert left.shape == right.shape
        torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance)
    pairs = zip(gradients(ours, inputs, found), gradients(theirs, inputs, expected), strict=True)
    for left, right in pairs:  # gradients are sums over 4 x 6 steps, so they round more
        torch.testing.assert_close(left, right, rtol=10 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", SHAPES, ids=str)
@pytest.mark.parametrize("lengths", [[2, 6, 1, 4], [6, 6, 3, 3], [4, 4, 4, 4]], ids=str)
def test_it_agrees_with_torch_on_sequences_of_several_lengths(cell, options, lengths):
    theirs, ours = pair(cell, **options)
    layers = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    states = tuple(torch.randn(layers, 4, 5, dtype=torch.float64) for _ in range(2))
    hx = states if cell == "lstm" else states[0]
    inputs = torch.randn(4, 6, 3, dtype=torch.float64, requires_grad=True)

    def packed():
        return pack_padded_sequence(inputs, torch.tensor(lengths), batch_first=True, enforce_sorted=False)

    expected, found = theirs(packed(), hx), ours(packed(), hx)
    for left, right in zip(flat(found), flat(expected), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        pad_packed_sequence(found[0], batch_first=True)[0], pad_packed_sequence(expected[0], batch_first=True)[0]
    )
    pairs = zip(gradients(ours, inputs, found), gradients(theirs, inputs, expected), strict=True)
    for left, right in pairs:
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cell", CELLS)
def test_the_gradients_are_those_of_finite_differences(cell):
    _, ours = pair(cell, num_layers=2, bidirectional=True)
    inputs = torch.randn(3, 4, 3, dtype=torch.float64, requires_grad=True)
    names = list(dict(ours.named_parameters()))

    def outputs(given, *parameters):
        replaced = dict(zip(names, parameters, strict=True))
        packed = pack_padded_sequence(given, torch.tensor([4, 3, 1]), batch_first=True)
        return tuple(flat(torch.func.functional_call(ours, replaced, (packed,))))

    torch.autograd.gradcheck(outputs, (inputs, *ours.parameters()), fast_mode=True)


@pytest.mark.parametrize(("ours", "theirs"), [(RNN, nn.RNN), (LSTM, nn.LSTM), (GRU, nn.GRU)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_the_interface_is_that_of_torch(ours, theirs, bias, batch_first):
    options = {"bias": bias, "batch_first": batch_first, "num_layers": 2, "bidirectional": True}
    left, right = ours(3, 5, **options), theirs(3, 5, **options)
    assert {n: p.shape for n, p in left.named_parameters()} == {n: p.shape for n, p in right.named_parameters()}
    left.load_state_dict(right.state_dict())
    inputs, hx = torch.randn(4, 6, 3), torch.randn(4, 6 if not batch_first else 4, 5)
    hx = (hx, 2 * hx) if ours is LSTM else hx
    for given in ((inputs,), (inputs, hx), (inputs[0],)):
        for a, b in zip(flat(left(*given)), flat(right(*given)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_the_lstm_is_not_the_misprint_of_report_3():
    lstm = LSTM(1, 1)
    for parameter in lstm.parameters():
        nn.init.zeros_(parameter)
    # all gates are 0.5, the candidate is 0: c' = 0.5 c = 1 and h' = 0.5 tanh(1), where the misprint says tanh(0.5)
    output, _ = lstm(torch.zeros(1, 1, 1), (torch.zeros(1, 1, 1), torch.full((1, 1, 1), 2.0)))
    assert output.item() == pytest.approx(0.5 * 0.76159416)
    assert torch.tanh(torch.tensor(0.5)).item() == pytest.approx(0.46211716)


@pytest.mark.parametrize("cell", CELLS)
def test_dropout_works_between_layers_in_training_only(cell):
    network = recurrent(cell, 3, 5, num_layers=2, dropout=0.5, implementation="scratch")
    inputs = torch.randn(4, 6, 3)
    assert not torch.equal(network(inputs)[0], network(inputs)[0])
    network.eval()
    assert torch.equal(network(inputs)[0], network(inputs)[0])
    single = recurrent(cell, 3, 5, dropout=0.5, implementation="scratch")
    assert torch.equal(single(inputs)[0], single(inputs)[0])


@pytest.mark.parametrize("implementation", ["torch", "scratch"])
def test_the_forget_bias_is_what_the_forget_gate_sees(implementation):
    lstm = recurrent("lstm", 3, 5, num_layers=2, bidirectional=True, implementation=implementation, forget_bias=1.5)
    for layer in ("l0", "l1", "l0_reverse", "l1_reverse"):
        total = getattr(lstm, f"bias_ih_{layer}") + getattr(lstm, f"bias_hh_{layer}")
        assert torch.equal(total[5:10], torch.full((5,), 1.5))
        assert (total[:5] != 1.5).all()
        assert (total[10:] != 1.5).all()


def test_published_parameter_counts():
    def count(network):
        return sum(p.numel() for p in network.parameters())

    # report 3's LSTM has one bias a gate, torch's two; with its linear output (1,290) it counts 67,850
    assert count(LSTM(1, 128, bias=False)) + 4 * 128 + 1290 == 67_850
    assert count(LSTM(10, 128, bias=False)) + 4 * 128 + 1290 == 72_458
    assert count(LSTM(150, 150)) + 100 * 150 + 150 * 100 + 100 == 211_300  # report 1's language model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: recurrent("elman", 3, 5), "cell 'elman' is unknown: choose one of 'rnn', 'lstm', 'gru'"),
        (lambda: recurrent("gru", 3, 5, forget_bias=1.0), "forget_bias is 1.0, but a gru has no forget gate"),
        (lambda: recurrent("gru", 3, 0, implementation="scratch"), "hidden_size is 0: use whole numbers from 1 up"),
        (lambda: LSTM(3, 5, dropout=1.5), "dropout is 1.5: use a probability from 0 to 1"),
        (lambda: LSTM(3, 5)(torch.zeros(2, 4, 7)), r"the input is \(2, 4, 7\): expected 3 dimensions .* of 3 features"),
        (lambda: LSTM(3, 5)(torch.zeros(2, 4, 3), torch.zeros(1, 2, 5)), r"expected 2 of \(1, 2, 5\)"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
