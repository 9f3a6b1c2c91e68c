import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import Callback, Trainer

from datamodules.sequences.names import Names
from datamodules.sequences.palindromes import Palindromes
from lightning_models.sequence_classifier import SequenceClassifier, class_weights

LETTERS = ["<unknown>", *"abcdefgh"]


def classifier(**options):
    return SequenceClassifier(
        **{"class_names": ["x", "y", "z", "w"], "vocabulary": LETTERS, "hidden_size": 8, **options}
    )


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
    model = SequenceClassifier(Palindromes(5).class_names, hidden_size=4)
    with torch.no_grad():
        for parameter in model.networks[0].output.parameters():
            parameter.zero_()
        model.networks[0].output.bias[3] = 10.0  # sure of 3
    model.trainer = trainer(log_every_n_steps=50)
    threes = (torch.zeros(5, 4), torch.full((5,), 4), torch.full((5,), 3))
    assert model(threes[0], threes[1])[0].tolist() == pytest.approx([0, 0, 0, 10, 0, 0, 0, 0, 0, 0], abs=1e-6)
    assert model.training_step(threes, 1).item() == pytest.approx(9 * math.exp(-10), rel=0.01)


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_the_metrics_are_exact_over_unequal_batches():
    data = Names(batch_size=700)
    model = SequenceClassifier(data.class_names, data.vocabulary, hidden_size=4)
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
        model = SequenceClassifier(data.class_names, hidden_size=8)
        trainer(max_epochs=2, gradient_clip_val=limit, callbacks=[watch], limit_val_batches=0).fit(model, data)
        norms[limit] = watch.norms
    assert min(norms[None]) > 0.02
    assert max(norms[0.01]) == pytest.approx(0.01, rel=1e-3)


def test_an_ensemble_says_the_mean_of_its_members_probabilities():
    model = classifier(members=3).eval()
    sequences, lengths, labels = batch()
    alone = torch.stack([network(sequences, lengths).softmax(dim=1) for network in model.networks])
    assert not torch.allclose(alone[0], alone[1])
    torch.testing.assert_close(model(sequences, lengths).exp(), alone.mean(dim=0))
    model.trainer = trainer(log_every_n_steps=50)
    # each member learns alone: the loss is the mean of theirs
    expected = torch.stack([F.cross_entropy(p.log(), labels) for p in alone]).mean()
    torch.testing.assert_close(model.training_step((sequences, lengths, labels), 1), expected)


def test_the_gradient_of_a_member_is_its_share_of_the_one_it_has_alone():
    model = classifier(members=3).eval()
    model.trainer = trainer(log_every_n_steps=50)
    sequences, lengths, labels = batch()
    weights = list(model.networks[1].parameters())
    alone = torch.autograd.grad(F.cross_entropy(model.networks[1](sequences, lengths), labels), weights)
    within = torch.autograd.grad(model.training_step((sequences, lengths, labels), 1), weights)
    for one, other in zip(alone, within, strict=True):
        torch.testing.assert_close(other, one / 3)


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_naive_bayes_is_counted_before_the_first_batch_and_kept(tmp_path):
    data = Names(batch_size=512)
    model = SequenceClassifier(data.class_names, data.vocabulary, hidden_size=4, naive_bayes_buckets=5000)
    run = trainer(limit_train_batches=1, limit_val_batches=0)
    run.fit(model, data)
    ngrams = [min(len(line), 200) - k for lines in data.lines["train"].values() for line in lines for k in range(5)]
    assert model.naive_bayes.counts.sum().item() == sum(n for n in ngrams if n > 0)
    run.save_checkpoint(tmp_path / "a.ckpt")
    again = SequenceClassifier.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert torch.equal(again.naive_bayes.counts, model.naive_bayes.counts)


def test_class_weights_are_inverse_to_the_sizes_and_have_mean_1_over_samples():
    counts = torch.tensor([90, 9, 1])
    weights = class_weights(counts, 1.0)
    assert (weights * counts).sum().item() == pytest.approx(100)
    assert (weights * counts).tolist() == pytest.approx([100 / 3] * 3)
    assert class_weights(counts, 0.0).tolist() == pytest.approx([1, 1, 1])
    roots = class_weights(counts, 0.5)
    assert (roots[2] / roots[1]).item() == pytest.approx(3)


def test_class_weights_need_the_sizes():
    data = Palindromes(5)
    model = SequenceClassifier(data.class_names, hidden_size=4, class_balance=1.0)
    with pytest.raises(ValueError, match=r"model\.class_balance is 1\.0, but this data does not tell its class_counts"):
        trainer().fit(model, data)


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_logit_adjustment_takes_the_shares_of_the_training_data_off_what_is_said_alone(tmp_path):
    data = Names(batch_size=512)
    model = SequenceClassifier(data.class_names, data.vocabulary, hidden_size=4)
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


def test_logit_adjustment_needs_the_sizes():
    data = Palindromes(5)
    model = SequenceClassifier(data.class_names, hidden_size=4, logit_adjustment=1.0)
    with pytest.raises(ValueError, match=r"model\.logit_adjustment is 1\.0, but this data does not tell"):
        trainer().fit(model, data)


def test_two_processes_drop_other_characters(as_process):
    model = classifier(character_dropout=0.5)
    seen = []
    model.networks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    sequences, lengths, labels = torch.ones(6, 5, dtype=torch.long), torch.full((6,), 5), torch.zeros(6).long()

    def read(rank, world_size):
        as_process(rank, world_size)
        torch.manual_seed(0)
        own = slice(rank, None, world_size)
        model.member_logits(sequences[own], lengths[own], labels[own])
        return seen.pop()

    one, first, second = read(0, 1), read(0, 2), read(1, 2)
    assert torch.equal(torch.stack([first, second], dim=1).flatten(0, 1), one)
    assert not torch.equal(first, second)


def test_character_dropout_works_in_training_only():
    model = classifier(character_dropout=0.5)
    model.trainer = trainer(log_every_n_steps=50)
    losses = {model.training_step(one, 1).item() for one in [batch()] * 5}
    assert len(losses) == 5
    sequences, lengths, _ = batch()
    assert torch.equal(model(sequences, lengths), model(sequences, lengths))


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
        ({"class_names": ["x"]}, "there are 1 classes"),
        ({"naive_bayes_buckets": -1}, r"model\.naive_bayes_buckets is -1"),
        ({"vocabulary": None, "naive_bayes_buckets": 9}, "naive_bayes_buckets is 9, but the data are numbers"),
        ({"naive_bayes_edges": True}, "naive_bayes_edges is true, but naive_bayes_buckets is 0"),
        ({"members": 0}, r"model\.members is 0"),
        ({"class_balance": -1.0}, r"model\.class_balance is -1"),
        ({"logit_adjustment": -1.0}, r"model\.logit_adjustment is -1"),
        ({"character_dropout": 1.0}, r"model\.character_dropout is 1\.0: use a number from 0 to below 1"),
        ({"label_smoothing": 1.0}, r"model\.label_smoothing is 1\.0"),
        ({"vocabulary": None, "character_dropout": 0.1}, "but the data are numbers: leave it out"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        classifier(**options)
