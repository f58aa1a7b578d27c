"""What a user can cause: each message is the whole output, with what to do."""


class ProbeError(Exception):
    """Ends a command with one line."""


class NoSoundSystemError(ProbeError):
    """There is nothing to read devices from."""
