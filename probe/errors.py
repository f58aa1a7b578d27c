"""Errors that a user can cause. The command prints the message, which says what to do, and nothing else."""


class ProbeError(Exception):
    """An error that ends a command; its message is one line."""


class NoSoundSystemError(ProbeError):
    """There is no sound system from which devices can be read."""
