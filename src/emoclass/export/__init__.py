"""Trained models as ONNX graphs, checked against the models themselves."""

__all__ = ["writing"]
