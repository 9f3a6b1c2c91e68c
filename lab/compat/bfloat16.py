"""Asks oneDNN whether this processor computes in bfloat16 at a useful speed.

torch has public checks for GPUs (`torch.cuda.is_bf16_supported`) and none for a CPU. This is the check that torch
itself makes before it hands bfloat16 to oneDNN; without oneDNN only slow loops remain.

Checked with torch 2.11 to 2.15; pinned by tests/lab/training/test_precision.py.
"""

import torch


def cpu_has_bfloat16() -> bool:
    """Whether the CPU has instructions for bfloat16 and torch uses them."""
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return has_onednn and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
