from functools import partial

import pytest
import torch

from lab.errors import UserError
from lightning_models.modules.injection import build, default
from lightning_models.networks import CharacterDropout, Ensemble, NaiveBayesMixture, RecurrentNetwork, SequenceNetwork
from lightning_models.networks.sequence_wrappers import log_mean_probability

SMALL = partial(RecurrentNetwork, hidden_size=5)
LENGTHS = torch.tensor([3, 7, 1, 5])
LABELS = torch.tensor([0, 1, 2, 1])


class Reader(SequenceNetwork):
    """Remembers what it was given; its logits count the first character."""

    def __init__(self, vocab_size, num_classes):
        super().__init__(vocab_size, num_classes)
        self.seen = []

    def forward(self, sequences, lengths, labels=None):
        self.seen.append((sequences, lengths, labels))
        return sequences[:, :1].float().expand(-1, self.num_classes)


def lines():
    return torch.where(torch.arange(7) < LENGTHS[:, None], torch.randint(1, 9, (4, 7)), 0)


def test_an_ensemble_predicts_the_mean_of_its_members_probabilities():
    ensemble = Ensemble(9, 3, SMALL, members=3)
    sequences = lines()
    members = [network(sequences, LENGTHS) for network in ensemble.networks]
    assert torch.equal(ensemble.member_logits(sequences, LENGTHS), torch.stack(members))
    assert not torch.allclose(members[0], members[1])
    mean = torch.stack(members).softmax(dim=2).mean(dim=0)
    torch.testing.assert_close(ensemble(sequences, LENGTHS).exp(), mean)


def test_members_are_drawn_one_after_the_other():
    torch.manual_seed(3)
    ensemble = Ensemble(9, 3, SMALL, members=2)
    torch.manual_seed(3)
    for member in ensemble.networks:
        alone = SMALL(9, 3)
        assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), member.parameters(), strict=True))


def test_the_logits_of_a_single_member_are_left_as_they_are():
    logits = torch.randn(1, 4, 3)
    assert log_mean_probability(logits) is not None
    assert torch.equal(log_mean_probability(logits), logits[0])
    twice = log_mean_probability(torch.cat([logits, logits]))
    torch.testing.assert_close(twice, logits[0].log_softmax(dim=1))


def test_character_dropout_replaces_that_share_in_training_alone():
    torch.manual_seed(1)
    network = CharacterDropout(9, 3, Reader, probability=0.3)
    sequences = torch.full((400, 50), 4)
    lengths = torch.full((400,), 50)
    network(sequences, lengths)
    (given, _, _) = network.network.seen.pop()
    assert set(given.unique().tolist()) == {0, 4}
    assert (given == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    network.eval()
    network(sequences, lengths)
    assert torch.equal(network.network.seen.pop()[0], sequences)
    without = CharacterDropout(9, 3, Reader, probability=0.0)
    state = torch.get_rng_state()
    without(sequences, lengths)
    assert torch.equal(state, torch.get_rng_state())


def test_members_of_an_ensemble_see_the_same_dropped_characters_and_naive_bayes_none():
    network = NaiveBayesMixture(
        9, 3, partial(CharacterDropout, network=partial(Ensemble, network=Reader, members=2), probability=0.5), 64
    )
    seen = []
    network.naive_bayes.register_forward_pre_hook(lambda _, args: seen.append(args))
    sequences = lines()
    network.member_logits(sequences, LENGTHS, LABELS)
    first, second = (member.seen.pop() for member in network.network.network.networks)
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[0], sequences)
    assert first[2] is second[2] is LABELS
    ((characters, lengths, labels),) = seen
    assert torch.equal(characters, sequences)
    assert lengths is LENGTHS
    assert labels is LABELS


def test_two_processes_drop_other_characters(as_process):
    network = CharacterDropout(9, 3, Reader, probability=0.5)
    sequences, lengths = torch.ones(6, 5, dtype=torch.long), torch.full((6,), 5)

    def read(rank, world_size):
        as_process(rank, world_size)
        torch.manual_seed(0)
        network(sequences[rank::world_size], lengths[rank::world_size])
        return network.network.seen.pop()[0]

    one, first, second = read(0, 1), read(0, 2), read(1, 2)
    assert torch.equal(torch.stack([first, second], dim=1).flatten(0, 1), one)
    assert not torch.equal(first, second)


def test_the_mixture_adds_naive_bayes_to_each_members_logits():
    mixture = NaiveBayesMixture(9, 3, partial(Ensemble, network=SMALL, members=2), buckets=64, edges=True)
    assert (mixture.naive_bayes.buckets, mixture.naive_bayes.edges) == (64, True)
    sequences = lines()
    mixture.naive_bayes.count(sequences, LENGTHS, LABELS)
    for labels in (None, LABELS):
        members = mixture.network.member_logits(sequences, LENGTHS)
        expected = members + mixture.naive_bayes(sequences, LENGTHS, labels)
        torch.testing.assert_close(mixture.member_logits(sequences, LENGTHS, labels), expected)
        torch.testing.assert_close(mixture(sequences, LENGTHS, labels), log_mean_probability(expected))


def test_wrappers_nest_from_plain_descriptions():
    path = "lightning_models.networks."
    inner = default(f"{path}RecurrentNetwork", hidden_size=6, cell="gru")
    ensemble = default(f"{path}Ensemble", members=2, network=inner)
    built = build(default(f"{path}NaiveBayesMixture", buckets=8, network=ensemble), SequenceNetwork, 9, 3)
    assert [member.recurrent.hidden_size for member in built.network.networks] == [6, 6]
    assert isinstance(built.network.networks[0].recurrent, torch.nn.GRU)
    assert len(Ensemble(9, 3).networks) == 3
    assert CharacterDropout(9, 3).probability == 0.05
    assert (NaiveBayesMixture(9, 3).naive_bayes.buckets, NaiveBayesMixture(9, 3).naive_bayes.edges) == (262_144, False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ensemble(9, 3, SMALL, members=0), "members is 0: expected at least 1"),
        (lambda: Ensemble(9, 3, SMALL(9, 3)), "Ensemble builds its members itself"),
        (
            lambda: CharacterDropout(9, 3, SMALL, probability=1.0),
            r"probability is 1\.0: expected a number from 0 to bel",
        ),
        (lambda: CharacterDropout(9, 3, SMALL, probability=-0.1), r"probability is -0\.1"),
        (lambda: CharacterDropout(None, 3, SMALL), "CharacterDropout needs characters, but the data are numbers"),
        (
            lambda: CharacterDropout(9, 3, partial(NaiveBayesMixture, network=SMALL)),
            "put CharacterDropout inside NaiveBayesMixture",
        ),
        (lambda: NaiveBayesMixture(None, 3, SMALL), "NaiveBayesMixture needs characters, but the data are numbers"),
        (lambda: NaiveBayesMixture(9, 3, SMALL, buckets=0), "buckets is 0: expected at least 1"),
        (lambda: NaiveBayesMixture(9, 3, default("torch.nn.Linear")), "Linear is not a kind of SequenceNetwork"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()
