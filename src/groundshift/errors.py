"""The errors groundshift raises on bad input: each message says what is wrong and what to do."""


class GroundshiftError(ValueError):
    """Base of every error that the user can remedy."""


class ImageError(GroundshiftError):
    """A file or array cannot be used as an image."""


class GridError(GroundshiftError):
    """Two images cannot be brought onto one grid."""


class MatcherError(GroundshiftError):
    """A matcher's parameters, or a description of a matcher, make no sense."""


class OutputError(GroundshiftError):
    """A result cannot be written."""
