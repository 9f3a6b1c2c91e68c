"""A training run: its command line, folder and checkpoints, and what happens after it stops."""
