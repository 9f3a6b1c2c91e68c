"""Where a run's numbers, pictures and texts are written: files in the run folder, and Weights & Biases.

The only package that knows wandb.
"""
