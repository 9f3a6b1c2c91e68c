"""Every use of a private name of a library, one file each, and what earlier versions of this project wrote.

Each file says what it does, why there is no public way, on which versions it was checked, and which test pins it.
`tests/test_private_names.py` finds uses elsewhere. Nothing here imports another part of the project.
"""
