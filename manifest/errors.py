"""The error that ends the build of a package."""


class ManifestError(Exception):
    """Teams would reject the package; the message names the field."""
