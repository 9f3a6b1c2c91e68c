import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import Callback, Trainer

from datamodules.sequences.names import Names
from datamodules.sequences.palindromes import Palindromes
from lab.errors import UserError
from lightning_models.modules.injection import default
from lightning_models.networks import Ensemble, NaiveBayesMixture, RecurrentNetwork
from lightning_models.sequence_classifier import SequenceClassifier, class_weights

LETTERS = ["<unknown>", *"abcdefgh"]


SMALL = partial(RecurrentNetwork, hidden_size=8)


def classifier(network=SMALL, **options):
    return SequenceClassifier(**{"class_names": list("xyzw"), "vocabulary": LETTERS, "network": network, **options})


def detached_from_a_run(model, **options):
    """`model` as its steps see it, without a run around it."""
    model.trainer = trainer(log_every_n_steps=50, **options)
    return model


def trainer(**options):
    return Trainer(
        **{
            "accelerator": "cpu",
            "max_epochs": 1,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 1,
            **options,
        }
    )


def batch(count=6):
    lengths = torch.randint(1, 6, (count,))
    sequences = torch.where(torch.arange(5) < lengths[:, None], torch.randint(1, 9, (count, 5)), 0)
    return sequences, lengths, torch.randint(4, (count,))


def test_a_softmax_before_the_loss_could_not_go_below_1_4612():
    # Report 3 gives the softmax's output to CrossEntropyLoss, which takes a softmax itself: a network that is sure and
    # right still has a loss of ln(e + 9) - 1.
    sure = F.one_hot(torch.arange(10), 10).float() * 100
    twice = F.cross_entropy(sure.softmax(dim=1), torch.arange(10))
    assert twice.item() == pytest.approx(math.log(math.e + 9) - 1)
    assert twice.item() == pytest.approx(1.4612, abs=5e-5)


def test_the_loss_is_of_the_logits_and_goes_below_that_floor():
    model = detached_from_a_run(SequenceClassifier(Palindromes(5).class_names, network=SMALL))
    with torch.no_grad():
        for parameter in model.network.output.parameters():
            parameter.zero_()
        model.network.output.bias[3] = 10.0  # sure of 3
    threes = (torch.zeros(5, 4), torch.full((5,), 4), torch.full((5,), 3))
    assert model(threes[0], threes[1])[0].tolist() == pytest.approx([0, 0, 0, 10, 0, 0, 0, 0, 0, 0], abs=1e-6)
    assert model.training_step(threes, 1).item() == pytest.approx(9 * math.exp(-10), rel=0.01)


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_the_metrics_are_exact_over_unequal_batches():
    data = Names(batch_size=700)
    model = SequenceClassifier(data.class_names, data.vocabulary, SMALL)
    found = trainer().validate(model, data, verbose=False)[0]
    loader, rights, losses, threes = data.val_dataloader(), [], [], []
    assert len({len(labels) for _, _, labels in loader}) == 2
    with torch.no_grad():
        for sequences, lengths, labels in loader:
            logits = model(sequences, lengths)
            rights.append(logits.argmax(dim=1) == labels)
            losses.append(F.cross_entropy(logits, labels, reduction="none"))
            threes.append((logits.topk(3).indices == labels[:, None]).any(dim=1))
    assert found["val/accuracy"] == pytest.approx(torch.cat(rights).float().mean().item(), abs=1e-6)
    assert found["val/loss"] == pytest.approx(torch.cat(losses).mean().item(), rel=1e-5)
    assert found["val/top3_accuracy"] == pytest.approx(torch.cat(threes).float().mean().item(), abs=1e-6)
    assert {"val/balanced_accuracy", "val/macro_f1", "val/accuracy_length_5_to_9"} <= found.keys()


class Norms(Callback):
    """The norm of the gradient at each update."""

    def __init__(self):
        self.norms = []

    def on_before_zero_grad(self, trainer, pl_module, optimizer):
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        if gradients:
            self.norms.append(torch.stack([g.norm() for g in gradients]).norm().item())


def test_gradients_are_clipped_after_backward():
    data = Palindromes(6, count=512)
    norms = {}
    for limit in (None, 0.01):
        torch.manual_seed(0)
        watch = Norms()
        model = SequenceClassifier(data.class_names, network=SMALL)
        trainer(max_epochs=2, gradient_clip_val=limit, callbacks=[watch], limit_val_batches=0).fit(model, data)
        norms[limit] = watch.norms
    assert min(norms[None]) > 0.02
    assert max(norms[0.01]) == pytest.approx(0.01, rel=1e-3)


def test_each_member_of_an_ensemble_learns_by_its_own_loss():
    model = detached_from_a_run(classifier(partial(Ensemble, network=SMALL, members=3)).eval())
    sequences, lengths, labels = batch()
    members = list(model.network.networks)
    losses = [F.cross_entropy(member(sequences, lengths), labels) for member in members]
    weights = list(members[1].parameters())
    alone = torch.autograd.grad(losses[1], weights, retain_graph=True)
    loss = model.training_step((sequences, lengths, labels), 1)
    torch.testing.assert_close(loss, torch.stack(losses).mean())
    within = torch.autograd.grad(loss, weights)
    for one, other in zip(alone, within, strict=True):
        torch.testing.assert_close(other, one / 3)


def test_class_weights_and_label_smoothing_reach_the_training_loss_and_no_other():
    model = detached_from_a_run(classifier(label_smoothing=0.3, class_balance=1.0).eval())
    model.class_weights = torch.tensor([0.5, 1.0, 2.0, 4.0])
    sequences, lengths, labels = batch(8)
    logits = model(sequences, lengths)
    log_probabilities = logits.log_softmax(dim=1)
    target = 0.7 * F.one_hot(labels, 4) + 0.3 / 4  # Szegedy et al. 2016; each class of it with its weight
    expected = -(target * log_probabilities * model.class_weights).sum(dim=1).mean()
    torch.testing.assert_close(model.training_step((sequences, lengths, labels), 1), expected)
    model.evaluate((sequences, lengths, labels))
    torch.testing.assert_close(model.evaluation_means.compute()["loss"], F.cross_entropy(logits, labels).detach())


def test_class_weights_are_taken_from_the_data_with_the_exponent_of_the_option():
    data = SimpleNamespace(class_counts=[16, 4, 1, 1])
    model = classifier(class_balance=0.5)
    model.trainer = SimpleNamespace(datamodule=data)
    model.on_fit_start()
    assert (model.class_weights / model.class_weights[0]).tolist() == pytest.approx([1, 2, 4, 4])
    torch.testing.assert_close(model.log_shares, (torch.tensor([16, 4, 1, 1]) / 22).log())


def test_the_prediction_adds_no_second_softmax_and_no_smoothing():
    model = classifier(label_smoothing=0.3).eval()
    with torch.no_grad():
        for parameter in model.network.output.parameters():
            parameter.zero_()
        model.network.output.bias.copy_(torch.tensor([0.0, math.log(7), 0.0, 0.0]))  # 0.1, 0.7, 0.1, 0.1
    sequences, lengths, labels = batch(2)
    assert model.predict_step((sequences, lengths, labels), 0)["probability"] == pytest.approx([0.7, 0.7], abs=1e-6)


def test_a_class_without_training_samples_has_the_share_of_one():
    model = classifier()
    model.trainer = SimpleNamespace(datamodule=SimpleNamespace(class_counts=[5, 4, 0, 0]))
    model.on_fit_start()
    torch.testing.assert_close(model.log_shares, (torch.tensor([5, 4, 1, 1]) / 11).log())


@pytest.mark.parametrize("prefix", ["val", "test"])
def test_metrics_are_of_adjusted_predictions_named_by_their_split_and_reset(prefix):
    model, logged = classifier(logit_adjustment=1.0).eval(), {}
    model.log_dict = lambda metrics, **options: logged.update(metrics)
    model.log_shares.copy_(torch.tensor([0.7, 0.1, 0.1, 0.1]).log())
    with torch.no_grad():
        for parameter in model.network.output.parameters():
            parameter.zero_()
        model.network.output.bias.copy_(torch.tensor([1.0, 0.5, 0.0, -1.0]))  # adjusted: 1, 0, 2, 3 in this order
    sequences, lengths = torch.ones(4, 6, dtype=torch.long), torch.tensor([2, 2, 6, 6])
    step, end = {
        "val": (model.validation_step, model.on_validation_epoch_end),
        "test": (model.test_step, model.on_test_epoch_end),
    }[prefix]
    step((sequences, lengths, torch.tensor([0, 2, 2, 1])), 0)
    end()  # nothing of these is left
    step((sequences, lengths, torch.tensor([1, 1, 1, 3])), 0)
    end()
    loss = F.cross_entropy(torch.tensor([[1.0, 0.5, 0.0, -1.0]] * 4), torch.tensor([1, 1, 1, 3])).item()
    expected = {
        **{"loss": loss, "accuracy": 0.75, "top3_accuracy": 0.75, "balanced_accuracy": 0.5},
        **{"accuracy_length_0_to_4": 1.0, "accuracy_length_5_to_9": 0.5},
    }
    found = {name: logged[f"{prefix}/{name}"].item() for name in expected}
    assert found == pytest.approx(expected)
    assert all(name.startswith(f"{prefix}/") for name in logged)
    assert model.predict_step((sequences, lengths, None), 0)["category"] == ["y"] * 4


@pytest.mark.parametrize(
    ("options", "monitored"),
    [
        ({}, "val/accuracy"),
        ({"class_balance": 0.5}, "val/balanced_accuracy"),
        ({"logit_adjustment": 0.5}, "val/balanced_accuracy"),
    ],
)
def test_what_the_best_checkpoint_is_chosen_by(options, monitored):
    assert classifier(**options).monitor == monitored


def test_training_leaves_each_line_out_of_its_own_counts_and_evaluation_does_not():
    model = detached_from_a_run(classifier(partial(NaiveBayesMixture, network=SMALL, buckets=512)).eval())
    sequences, lengths, labels = batch()
    model.network.naive_bayes.count(sequences, lengths, labels)
    inner, naive_bayes = model.network.network(sequences, lengths), model.network.naive_bayes
    left_out = inner + naive_bayes(sequences, lengths, labels)
    torch.testing.assert_close(model.training_step((sequences, lengths, labels), 1), F.cross_entropy(left_out, labels))
    torch.testing.assert_close(model(sequences, lengths), inner + naive_bayes(sequences, lengths))
    assert not torch.allclose(left_out, model(sequences, lengths))


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_naive_bayes_is_counted_before_the_first_batch_and_kept(tmp_path):
    data = Names(batch_size=512)
    network = partial(NaiveBayesMixture, network=SMALL, buckets=5000)
    model = SequenceClassifier(data.class_names, data.vocabulary, network)
    run = trainer(limit_train_batches=1, limit_val_batches=0)
    run.fit(model, data)
    ngrams = [min(len(line), 200) - k for lines in data.lines["train"].values() for line in lines for k in range(5)]
    assert model.network.naive_bayes.counts.sum().item() == sum(n for n in ngrams if n > 0)
    run.save_checkpoint(tmp_path / "a.ckpt")
    again = SequenceClassifier.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert torch.equal(again.network.naive_bayes.counts, model.network.naive_bayes.counts)


def test_class_weights_are_inverse_to_the_sizes_and_have_mean_1_over_samples():
    counts = torch.tensor([90, 9, 1])
    weights = class_weights(counts, 1.0)
    assert (weights * counts).sum().item() == pytest.approx(100)
    assert (weights * counts).tolist() == pytest.approx([100 / 3] * 3)
    assert class_weights(counts, 0.0).tolist() == pytest.approx([1, 1, 1])
    roots = class_weights(counts, 0.5)
    assert (roots[2] / roots[1]).item() == pytest.approx(3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_balance": 1.0}, r"model\.class_balance is 1\.0, but this data does not provide its class_counts"),
        (
            {"logit_adjustment": 1.0},
            r"model\.logit_adjustment is 1\.0, but this data does not provide its class_counts",
        ),
        (
            {"network": partial(NaiveBayesMixture, network=SMALL)},
            r"model\.network has a NaiveBayesMixture, but this data does not provide its training_lines",
        ),
    ],
)
def test_what_the_data_does_not_provide_is_named_with_the_option_that_needs_it(options, message):
    model = classifier(**options)
    model.trainer = SimpleNamespace(datamodule=Palindromes(5))
    with pytest.raises(UserError, match=message):
        model.on_fit_start()


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_logit_adjustment_takes_the_shares_of_the_training_data_off_what_is_said_alone(tmp_path):
    data = Names(batch_size=512)
    model = SequenceClassifier(data.class_names, data.vocabulary, SMALL)
    run = trainer(limit_train_batches=1, limit_val_batches=0)
    run.fit(model, data)
    counts = torch.tensor(data.class_counts)
    torch.testing.assert_close(model.log_shares, (counts / counts.sum()).log())
    run.save_checkpoint(tmp_path / "a.ckpt")
    adjusted = SequenceClassifier.load_from_checkpoint(tmp_path / "a.ckpt", logit_adjustment=0.5, weights_only=True)
    sequences, lengths = torch.tensor([[3, 4, 5]]), torch.tensor([3])
    logits = model.eval()(sequences, lengths)
    assert torch.equal(adjusted.eval()(sequences, lengths), logits)
    torch.testing.assert_close(adjusted.adjusted(logits), logits - (counts / counts.sum()).log() / 2)
    said = adjusted.predict_step((sequences, lengths, torch.zeros(1)), 0)["category"][0]
    assert said == data.class_names[int((logits - (counts / counts.sum()).log() / 2).argmax())]


def test_predictions_name_classes_in_the_order_of_their_probability():
    model = classifier().eval()
    sequences, lengths, labels = batch(5)
    columns = model.predict_step((sequences, lengths, labels), 0)
    assert list(columns) == [
        "category", "probability", "category_2", "probability_2", "category_3", "probability_3",
    ]  # fmt: skip
    probabilities = model(sequences, lengths).softmax(dim=1)
    for row in range(5):
        order = probabilities[row].argsort(descending=True)
        assert columns["category"][row] == model.class_names[order[0]]
        assert columns["category_3"][row] == model.class_names[order[2]]
        assert columns["probability_2"][row] == pytest.approx(probabilities[row, order[1]].item(), abs=1e-6)


def test_the_checkpoint_holds_vocabulary_and_classes_as_plain_values(tmp_path):
    model = classifier(optimizer=torch.optim.RMSprop)
    run = trainer(max_epochs=0)
    run.strategy.connect(model)
    run.save_checkpoint(tmp_path / "a.ckpt")
    kept = torch.load(tmp_path / "a.ckpt", weights_only=True)["hyper_parameters"]
    assert kept["vocabulary"] == LETTERS
    assert kept["class_names"] == ["x", "y", "z", "w"]
    again = SequenceClassifier.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    sequences, lengths, _ = batch()
    assert torch.equal(again(sequences, lengths), model(sequences, lengths))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": ["x"]}, r"the data has 1 class \(x\): a classifier needs at least two"),
        ({"class_balance": -1.0}, r"model\.class_balance is -1"),
        ({"logit_adjustment": -1.0}, r"model\.logit_adjustment is -1"),
        ({"label_smoothing": 1.0}, r"model\.label_smoothing is 1\.0: expected a number from 0 to below 1"),
        ({"label_smoothing": -0.1}, r"model\.label_smoothing is -0\.1"),
        ({"network": default("lightning_models.networks.CharRNN")}, "CharRNN is not a kind of SequenceNetwork"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UserError, match=message):
        classifier(**options)
