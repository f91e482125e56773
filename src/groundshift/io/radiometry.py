"""What an image's numbers mean."""

RADIOMETRIES = ("amplitude", "intensity", "db", "complex", "optical")
