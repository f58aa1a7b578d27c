"""Errors that end a command."""


class CannotDoError(Exception):
    """An error that the user can cause. Only its message is printed, without a traceback."""


class SettingsError(CannotDoError):
    """Settings are missing or wrong; the message names each of them."""

    def __str__(self) -> str:
        return f"the settings are not complete:\n{super().__str__()}"
