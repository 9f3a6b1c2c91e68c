"""Private seams of Lightning, jsonargparse, torch, Optuna and torchmetrics, one file each; imports nothing of ours."""
