"""Sequences with a class: palindromes, names by country, sentences by language."""

from datamodules.sequences.names import Languages, Names
from datamodules.sequences.palindromes import Palindromes

__all__ = ["Languages", "Names", "Palindromes"]
