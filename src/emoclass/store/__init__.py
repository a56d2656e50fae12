"""Trained models and the states of unfinished trainings on disk."""

__all__ = ["checkpoints", "layout", "runs", "saving", "starter"]
