"""Mistakes of the user, and exit statuses; everything may import this module, which imports nothing."""

INTERRUPTED, TERMINATED = 130, 143  # exit statuses after Ctrl-C and SIGTERM
WARNED = 138  # after SIGUSR1, by which a cluster says that it will take the machine away
BUG, MISTAKE = 1, 2  # exit statuses of a bug and of a user's mistake


class UserError(ValueError):
    """What the user asked for cannot be done; the message says what was found, what was expected and what to do."""


class UserFileError(UserError, FileNotFoundError):
    """The same for a file or folder that is missing or cannot be read."""

    def __str__(self) -> str:
        """The message alone: OSError would put an errno before it."""
        return str(self.args[0]) if self.args else ""
