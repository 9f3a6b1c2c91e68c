"""Speed, side by side with a bare PyTorch loop: `python -m benchmarks`."""
