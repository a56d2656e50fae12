"""Trained models and the states of unfinished trainings on disk."""

__all__ = ["bases", "card", "checkpoints", "layout", "publishing", "reading", "runs", "saving", "starter"]
