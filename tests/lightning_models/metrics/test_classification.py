import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score
from torchmetrics.classification import MulticlassConfusionMatrix

from lightning_models.metrics.classification import AccuracyByLength, balanced_accuracy, macro_f1


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("absent", [[], [2], [0, 4]], ids=str)
def test_they_are_those_of_scikit_learn(absent):
    labels, predicted = torch.randint(5, (2, 300))
    labels = labels[~torch.isin(labels, torch.tensor(absent))]
    predicted = predicted[: len(labels)]
    matrix = MulticlassConfusionMatrix(5)
    matrix.update(predicted, labels)
    confusion = matrix.compute()
    assert balanced_accuracy(confusion).item() == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert macro_f1(confusion).item() == pytest.approx(f1_score(labels, predicted, average="macro"))


def test_a_constant_answer_is_no_better_than_chance_however_common_its_class():
    confusion = torch.tensor([[90, 0, 0], [5, 0, 0], [5, 0, 0]])
    assert balanced_accuracy(confusion).item() == pytest.approx(1 / 3)
    assert macro_f1(confusion).item() == pytest.approx(2 * 90 / 190 / 3)


def test_accuracy_is_counted_in_bins_of_the_length():
    metric = AccuracyByLength((5, 10, 20))
    lengths = torch.tensor([1, 4, 5, 9, 20, 500])
    metric.update(torch.tensor([True, False, True, True, False, True]), lengths)
    metric.update(torch.tensor([True]), torch.tensor([4]))
    found = {name: value.item() for name, value in metric.compute().items()}
    assert found == {"0_to_4": pytest.approx(2 / 3), "5_to_9": 1.0, "20_up": 0.5}  # there were none of 10 to 19
