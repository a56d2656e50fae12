"""Trained models and the states of unfinished trainings on disk."""

__all__ = ["bases", "checkpoints", "layout", "runs", "saving", "starter"]
