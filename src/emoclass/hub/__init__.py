"""The Hugging Face hub, through its own client: names, downloads, commits and what goes wrong."""

__all__ = ["client", "errors", "names"]
