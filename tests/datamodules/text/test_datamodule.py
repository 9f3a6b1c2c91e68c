from pydoc_data.topics import topics

import pytest
import torch

from datamodules.text.batches import TextChunks, TextStreams
from datamodules.text.datamodule import Text
from datamodules.text.indices import encoded


def ready(**options):
    text = Text(**options)
    text.setup("fit")
    return text


def decoded(text, tokens):
    return "".join(text.vocabulary[index] for index in tokens)


def test_the_tail_of_each_file_is_held_out(in_tmp_path):
    (in_tmp_path / "a.txt").write_text("0123456789" * 2)
    (in_tmp_path / "b.txt").write_text("abcdefghij")
    text = ready(path=["a.txt", "b.txt"], val_fraction=0.2, test_fraction=0.1, batch_size=1, chunk_length=4)
    assert decoded(text, text.train_tokens) == "01234567890123" + "abcdefg"
    assert decoded(text, text.val_tokens) == "4567" + "hi"
    assert decoded(text, text.test_tokens) == "89" + "j"
    assert decoded(text, text.val_context) == "01234567890123"  # what comes right before the first of them
    assert decoded(text, text.test_context) == "012345678901234567"
    assert text.vocabulary == list("0123456789abcdefghij")
    assert text.train_tokens.dtype == torch.uint8
    inputs, targets, _ = text.on_after_batch_transfer(next(iter(text.train_dataloader())), 0)
    assert inputs.dtype == targets.dtype == torch.int64


def test_each_held_out_text_is_read_after_what_comes_before_it(in_tmp_path):
    (in_tmp_path / "a.txt").write_text("0123456789" * 2)
    text = ready(path="a.txt", val_fraction=0.2, test_fraction=0.1, batch_size=1, chunk_length=4)
    read = [decoded(text, loader.tokens) for loader in (text.val_dataloader(), text.test_dataloader())]
    assert read == ["01234567890123" + "4567", "012345678901234567" + "89"]
    assert [loader.before for loader in (text.val_dataloader(), text.test_dataloader())] == [14, 18]


def test_the_default_is_the_english_of_pythons_help():
    text = ready()
    assert decoded(text, text.train_tokens[:2000]) == "\n".join(topics.values())[:2000]
    assert len(text.train_tokens) == pytest.approx(9 * len(text.val_tokens), rel=1e-4)
    assert isinstance(text.train_dataloader(), TextStreams)
    assert isinstance(ready(batches="chunks").train_dataloader(), TextChunks)
    assert "".join(ready(normalisation="ascii").vocabulary).isascii()


@pytest.mark.parametrize(("size", "dtype"), [(256, torch.uint8), (257, torch.int16), (32769, torch.int32)])
def test_indices_are_as_small_as_the_vocabulary_allows(size, dtype):
    vocabulary = "".join(chr(0x20 + number) for number in range(size)).replace("\ud800", "")
    tokens = encoded(vocabulary[::-1], vocabulary)
    assert tokens.dtype == dtype
    assert tokens.tolist() == list(range(size))[::-1]


def test_without_validation_text_nothing_is_validated(in_tmp_path):
    (in_tmp_path / "a.txt").write_text("to be or not to be " * 9)
    text = ready(path="a.txt", val_fraction=0.0, batch_size=2, chunk_length=8)
    assert len(text.val_tokens) == 0
    with pytest.raises(ValueError, match=r"no validation text: keep some with --data\.val_fraction 0\.1"):
        text.val_dataloader()


def test_without_test_text_the_validation_text_is_measured_and_that_is_said():
    text = Text()
    with pytest.warns(UserWarning, match="no text is kept for testing"):
        text.setup("test")
    assert torch.equal(text.test_dataloader().tokens, text.val_dataloader().tokens)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": []}, "path is an empty list: name text files, folders or patterns, or leave it out"),
        ({"chunk_length": 0}, "chunk_length is 0: use a whole number from 1 up"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"val_fraction": 1.0}, r"val_fraction is 1\.0: use a number from 0"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "leave nothing to train on"),
    ],
)
def test_options_out_of_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Text(**options)


def test_text_says_what_it_consists_of_and_what_changed(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("abcde" * 20)
    data = Text(str(tmp_path / "a.txt"))
    data.trainer = None
    data.setup("fit")
    assert capsys.readouterr().err == f"{tmp_path}/a.txt: 1 file; 5 different characters; train 90, val 10, test 0\n"
    state = data.state_dict()
    assert {key: state["fingerprint"][key] for key in ("files", "train", "val", "test")} == {
        "files": 1, "train": 90, "val": 10, "test": 0,
    }  # fmt: skip
    (tmp_path / "a.txt").write_text("edcba" * 20)
    data = Text(str(tmp_path / "a.txt"))
    data.trainer = None
    data.setup("validate")
    data.load_state_dict(state)
    assert capsys.readouterr().err.endswith("was written: other contents of the same size\n")


@pytest.mark.parametrize(("chunk_length", "goes_on"), [(20, True), (21, False)])  # both: 6 batches of 4 streams
def test_streams_that_are_cut_in_another_way_do_not_go_on_from_the_state_of_a_checkpoint(chunk_length, goes_on):
    def text_of(chunk_length):
        text = Text(batch_size=4, chunk_length=chunk_length)
        text.trainer = None
        text.setup("fit")
        text.train_tokens = text.train_tokens[: 4 * 6 * 21]
        return text

    before, now = text_of(20), text_of(chunk_length)
    list(before.train_dataloader())
    now.load_state_dict(before.state_dict())
    loader = now.train_dataloader()
    loader.set_epoch(1)
    assert [continues for *_, continues in loader][:2] == [goes_on, True]
