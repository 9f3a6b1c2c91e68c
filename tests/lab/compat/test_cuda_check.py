"""The variable that makes torch ask NVML stays where there is a GPU."""

import os
from pathlib import Path

import lightning_fabric
import pytest
import torch

from lab.compat.cuda_check import VARIABLE, ask_nvml_only_with_a_gpu


@pytest.mark.parametrize(("is_available", "left"), [(True, "1"), (False, None)])
def test_the_variable_is_taken_back_where_there_is_no_gpu(is_available, left, monkeypatch):
    assert VARIABLE in Path(lightning_fabric.__file__).read_text()
    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_available)
    ask_nvml_only_with_a_gpu()
    ask_nvml_only_with_a_gpu()
    assert os.environ.get(VARIABLE) == left
