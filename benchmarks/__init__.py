"""Programs that print the figures of the documentation; not part of the package."""
