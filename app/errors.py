"""What ends a command."""


class CannotDoError(Exception):
    """A user can cause this: the message is the whole output."""


class SettingsError(CannotDoError):
    """Names every setting that is missing or wrong."""

    def __str__(self) -> str:
        return f"the settings are not complete:\n{super().__str__()}"
