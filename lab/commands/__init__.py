"""What the commands of cli.py do."""
