"""What ends the build of a package."""


class ManifestError(Exception):
    """The package would not be taken; names the field."""
