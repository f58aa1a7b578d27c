"""What ends a command."""


class CannotDoError(Exception):
    """A user can cause this: the message is the whole output."""
