"""Errors that the operator must fix before the service can start."""


class UnusableDatabaseError(Exception):
    """The database address cannot be used; the message says why and what to do."""
