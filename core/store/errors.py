"""What the operator must set right before anything is stored."""


class UnusableDatabaseError(Exception):
    """The database address cannot be used; the message says why and what to do."""
