"""What emoclass keeps on disk: trained models, and states of unfinished trainings."""

__all__ = ["checkpoints", "layout", "runs"]
