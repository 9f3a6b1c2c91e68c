"""The front door: `python cli.py fit -c configs/gan/digits.yaml`.

`main` is what the command and the console script `lightning-models` call; tests and notebooks call it with a list of
strings.
"""

from lab.main import main

if __name__ == "__main__":
    main()
