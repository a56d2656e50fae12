"""Any encoder that transformers can run, through its own forward pass, cut at a layer."""

__all__ = ["config", "loading", "model", "prefix"]
