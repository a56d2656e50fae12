"""What the benchmarks share: texts, base models, contenders in separate processes, a description of the machine."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

GEMM_ROWS = 4096


def read_part(path: Path, texts: int | None) -> tuple[list[str], list[str]]:
    """Texts and labels of a CSV file with the columns text and label, or labels joined by commas."""
    import pandas as pd

    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    label = "label" if "label" in frame else "labels"
    return frame["text"].tolist()[:texts], frame[label].tolist()[:texts]


def write_part(path: Path, texts: list[str], labels: list[str]) -> None:
    import pandas as pd

    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)


def base_directory(name: str, home: Path) -> Path:
    """Return a base model in hub format: minilm from the offline package, or random weights of other shapes."""
    import torch
    from safetensors.torch import save_file

    from emoclass.encoders.base import resolve_base
    from emoclass.encoders.bert.config import EncoderConfig
    from emoclass.encoders.bert.model import PackedBert

    minilm = resolve_base("minilm").directory
    if name == "minilm":
        return minilm
    directory = home / f"{name}-random"
    if name in _GENERIC:
        return _generic_base(name, directory, minilm)
    sizes: dict[str, Any] = {
        "bert-base": {},
        "bert-6": {"num_hidden_layers": 6},
        "distilroberta": {
            "num_hidden_layers": 6, "model_type": "roberta", "first_position": 2, "max_position_embeddings": 514,
        },
        "tiny": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2},
    }[name]  # fmt: skip
    if not directory.exists():
        directory.mkdir(parents=True)
        model = PackedBert(EncoderConfig(**sizes), 2)
        generator = torch.Generator().manual_seed(0)
        tensors = {}
        for key, parameter in model.named_parameters():
            if not key.startswith("classifier"):
                tensors[key] = torch.randn(parameter.shape, generator=generator) * 0.02
                if key.endswith("LayerNorm.weight"):
                    tensors[key] += 1
        family = model.config.family
        named = {family.own_name(key): tensor for key, tensor in tensors.items()}
        if not family.has_own_pooler:
            named = {key: tensor for key, tensor in named.items() if not key.startswith(f"{family.pooler}.")}
        save_file(named, directory / "model.safetensors", metadata={"format": "pt"})
        config = {"model_type": "bert", "vocab_size": 30522, **sizes}
        (directory / "config.json").write_text(json.dumps(config))
        for file in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
            (directory / file).write_bytes((minilm / file).read_bytes())
    return directory


# Run through transformers; with MiniLM's vocabulary.
_GENERIC = {
    "modernbert": ("ModernBertConfig", {"pad_token_id": 0}),
    "deberta-v3": (
        "DebertaV2Config",
        {
            "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
            "relative_attention": True, "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "type_vocab_size": 0,
        },
    ),
}  # fmt: skip


def _generic_base(name: str, directory: Path, tokenizer: Path) -> Path:
    import torch
    import transformers

    if not directory.exists():
        kind, settings = _GENERIC[name]
        torch.manual_seed(0)
        config = getattr(transformers, kind)(**settings, vocab_size=30522)
        transformers.AutoModel.from_config(config).save_pretrained(directory)
        for file in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
            (directory / file).write_bytes((tokenizer / file).read_bytes())
    return directory


def gemm_peak(precision: str, hidden: int, inner: int) -> float:
    """FLOP/s of the feed-forward product of these shapes, the median of several."""
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    x, w = torch.randn(GEMM_ROWS, hidden).to(dtype), torch.randn(inner, hidden).to(dtype)
    times = []
    for _ in range(13):
        start = time.perf_counter()
        torch.nn.functional.linear(x, w)
        times.append(time.perf_counter() - start)
    return 2 * GEMM_ROWS * hidden * inner / statistics.median(times[3:])


def native_precision() -> str:
    """bf16 where the CPU computes in it natively, else fp32."""
    import torch

    from emoclass.runtime import resolve_precision

    return "bf16" if resolve_precision("auto", torch.device("cpu")) == torch.bfloat16 else "fp32"


def machine() -> str:
    """One line on hardware and versions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor()
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "emoclass"))
    return f"{cpu}, {os.cpu_count()} cores, native {native_precision()}; Python {platform.python_version()}, {packages}"


def run_contender(script: str, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Run ``script --contender name`` in a separate process; add wall time and peak memory to its report."""
    start = time.perf_counter()
    with tempfile.NamedTemporaryFile("r", suffix=".json") as report:
        options = ["--contender", name, "--settings", json.dumps(settings), "--out", report.name]
        command = [sys.executable, script, *options]
        subprocess.run(command, check=True, stdout=sys.stderr)
        result: dict[str, Any] = json.loads(report.read())
    return {"contender": name, "process_seconds": time.perf_counter() - start, **result}


def report(path: str, **figures: Any) -> None:
    """Write the figures of a contender, with the peak memory of its process."""
    Path(path).write_text(json.dumps({**figures, "peak_gb": _peak_bytes() / 1e9}))


def _peak_bytes() -> int:
    # getrusage also counts the parent, as it was when it forked.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def train(words: list[str], home: Path) -> tuple[dict[str, Any], float]:
    """Run ``emoclass train`` on the CPU with these arguments; return its JSON document and the seconds."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "emoclass", "train", *words, "--json", "--device", "cpu"],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "EMOCLASS_HOME": str(home)},
    )
    return json.loads(done.stdout), time.perf_counter() - start


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print a Markdown table; the columns are those of any row, in order of appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        cells = [row.get(key, "") for key in columns]
        print("| " + " | ".join(f"{c:,.3f}" if isinstance(c, float) else str(c) for c in cells) + " |")
