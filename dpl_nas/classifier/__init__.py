"""Classifiers of pictures: fitted, calibrated, saved and used."""

__all__: list[str] = []
