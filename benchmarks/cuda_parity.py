"""Section parity of cuda_run.py: logits and gradients of transformers' BertForSequenceClassification."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import cuda_data

if TYPE_CHECKING:
    from cuda_worker import Bench
    from torch import Tensor

_LENGTHS = [31, 512, 8, 400, 5, 5, 257, 64, 2, 33, 32, 17, 3, 128]
_CLASSES = 6
# Small enough to drop nothing, but attention takes the code path for dropout.
_HARDLY = 1e-7
# Limits of the distance relative to the norm of the reference; in bf16, transformers' own distance times the first
# plus the second.
_EXACT_LOGITS, _EXACT_GRADIENTS, _BF16_TIMES, _BF16_MORE = 1e-4, 1e-3, 1.5, 0.005


def parity(bench: Bench) -> None:
    """Compare with transformers in fp32 on the same device, for the last layer and all layers."""
    for name in ["tiny"] if bench.tiny else ["tiny", "minilm", "bert-base"]:
        for unfreeze in (1, "all"):
            with bench.attempt(f"{name}, {unfreeze} layers"):
                case = _Case(bench, name, unfreeze)
                exact = case.of_transformers()
                for dropout in (0.0, _HARDLY):
                    _compare_exact(bench, case, exact, dropout)
                yardstick = case.of_transformers(bf16=True)
                for dropout in (0.0, _HARDLY):
                    _compare_bf16(bench, case, exact, yardstick, dropout)
    with bench.attempt("CUDA graphs"):
        _compare_graphs(bench)


def _compare_exact(bench: Bench, case: _Case, exact: _Found, dropout: float) -> None:
    import torch

    ours = case.of_emoclass(torch.float32, dropout)
    logits, (gradients, worst) = _distance(ours[0], exact[0]), _gradient_distance(ours[1], exact[1])
    what = f"{case}, fp32{_way(dropout)}"
    bench.check(f"{what}: logits", logits, logits < _EXACT_LOGITS, f"limit {_EXACT_LOGITS:g}")
    bench.check(f"{what}: gradients", gradients, gradients < _EXACT_GRADIENTS, f"limit {_EXACT_GRADIENTS:g}; {worst}")


def _compare_bf16(bench: Bench, case: _Case, exact: _Found, yardstick: _Found, dropout: float) -> None:
    import torch

    ours = case.of_emoclass(torch.bfloat16, dropout)
    what = f"{case}, bf16{_way(dropout)}"
    for part, mine, theirs, worst in (
        ("logits", _distance(ours[0], exact[0]), _distance(yardstick[0], exact[0]), ""),
        ("gradients", *_bf16_gradients(ours, exact, yardstick)),
    ):
        limit = _BF16_TIMES * theirs + _BF16_MORE
        bench.check(f"{what}: {part}", mine, mine < limit, f"transformers in bf16 {theirs:.3g}{worst}")


def _bf16_gradients(ours: _Found, exact: _Found, yardstick: _Found) -> tuple[float, float, str]:
    mine, worst = _gradient_distance(ours[1], exact[1])
    return mine, _gradient_distance(yardstick[1], exact[1])[0], f"; {worst}"


def _way(dropout: float) -> str:
    return ", dropout path" if dropout else ""


def _compare_graphs(bench: Bench) -> None:
    """Compare a training whose steps are CUDA graphs with one that launches the same kernels one by one."""
    import emoclass
    from emoclass.training import step_graphs

    data = cuda_data.first_texts(bench.data, bench.home, 96 if bench.tiny else 1_000)
    settings = {"recipe": "reference", "epochs": 2, "learning_rate": 1e-3, "cache_disk": 0, "device": str(bench.device)}
    captured = 0
    capture = step_graphs._Step.capture

    def counted(step: Any, pool: Any) -> None:
        nonlocal captured
        try:
            capture(step, pool)
            captured += 1
        except RuntimeError as error:  # the training goes on without graphs
            reason = " ".join(str(error).split())[:200]
            bench.row("a step as a CUDA graph", "", "FAILED", reason, traceback.format_exc())
            raise

    def train(name: str) -> dict[str, Tensor]:
        base = str(bench.base(bench.bases[0]))
        model = emoclass.train(data, base_model=base, name=name, overwrite=True, **settings).model.directory
        paths = [path for path in model.glob("*.safetensors") if not path.name.startswith("baseline")]
        return {key: tensor for path in paths for key, tensor in _load(path).items()}

    with patch.object(step_graphs._Step, "capture", counted):
        graphs = train("graphs")
        with patch("torch.cuda.graph_pool_handle", lambda: None):
            single = train("single")
    apart = max(float((tensor - single[key]).abs().max()) for key, tensor in graphs.items())
    note = f"largest difference of a weight; {captured} graphs, dropout 0.1"
    bench.check("CUDA graphs against single kernels", apart, apart < 1e-4 and (captured > 0 or not bench.on_gpu), note)


def _load(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


_Found = tuple["Tensor", dict[str, "Tensor"]]


class _Case:
    """A model with random weights without dropout, a batch, and the layers to train."""

    def __init__(self, bench: Bench, name: str, unfreeze: Any) -> None:
        import torch

        self._name, self._unfreeze, self._device = name, unfreeze, bench.device
        self._sizes = {**cuda_data.SHAPES[name], "hidden_dropout_prob": 0.0, "classifier_dropout": 0.0}
        generator = torch.Generator().manual_seed(1)
        # Large enough that attention is far from uniform.
        std = 0.4 if name == "tiny" else 0.05
        self._tensors = cuda_data.random_tensors(self._reference(torch.device("meta")), std, generator)
        self._ids = [torch.randint(5, 30_000, (length,), generator=generator) for length in _LENGTHS]
        self._labels = torch.randint(_CLASSES, (len(_LENGTHS),), generator=generator).to(self._device)

    def __str__(self) -> str:
        return f"{self._name}, {'last layer' if self._unfreeze == 1 else 'all layers'}"

    def _reference(self, device: Any) -> Any:
        from transformers import BertConfig, BertForSequenceClassification

        sizes = {**self._sizes, "attention_probs_dropout_prob": 0.0}
        with device:
            return BertForSequenceClassification(BertConfig(**sizes, num_labels=_CLASSES))

    def of_transformers(self, *, bf16: bool = False) -> _Found:
        """Return logits and gradients of a padded batch, in fp32 or entirely in bf16."""
        import torch
        from torch.nn import functional

        model = self._reference(self._device)
        model.load_state_dict(self._tensors)
        model.train().requires_grad_(self._unfreeze == "all")
        if bf16:
            model.bfloat16()
        if self._unfreeze == 1:
            for module in (model.bert.encoder.layer[-1], model.classifier):
                module.requires_grad_(True)
        ids = torch.nn.utils.rnn.pad_sequence(self._ids, batch_first=True).to(self._device)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(ids) for ids in self._ids], batch_first=True)
        logits = model(input_ids=ids, attention_mask=mask.to(self._device)).logits.float()
        functional.cross_entropy(logits, self._labels).backward()
        return logits.detach(), _gradients(model)

    def of_emoclass(self, dtype: Any, attention_dropout: float) -> _Found:
        """Return logits and gradients of a packed batch, computed as in a training step."""
        import torch
        from torch.nn import functional

        from emoclass.encoders.bert.building import build_model
        from emoclass.encoders.bert.config import EncoderConfig
        from emoclass.encoders.bert.prefix import FrozenPrefix
        from emoclass.encoders.freezing import freeze, frozen_depth
        from emoclass.training.optimizer import WorkingLayers

        config = EncoderConfig(**self._sizes, attention_probs_dropout_prob=attention_dropout)
        tensors = {name: tensor.clone() for name, tensor in self._tensors.items()}
        model = build_model(config, _CLASSES, tensors, Path())
        freeze(model, self._unfreeze)
        model.to(self._device).train()
        depth = frozen_depth(model)
        layers = WorkingLayers(model.layers[depth or 0 :], dtype)
        ids = torch.cat(self._ids).to(self._device)
        if depth is None:
            hidden = model.embeddings(ids, _LENGTHS).to(dtype)
        else:
            hidden = FrozenPrefix(model, depth, dtype)(ids, _LENGTHS)
        logits = model.classify(model.cls_hidden(hidden, _LENGTHS, layers.layers))
        functional.cross_entropy(logits, self._labels).backward()
        layers.copy_grads_to_master()
        return logits.detach(), _gradients(model)


def _gradients(model: Any) -> dict[str, Tensor]:
    """Return the gradients in float32, by name."""
    found = {name: p.grad for name, p in model.named_parameters() if p.requires_grad and p.grad is not None}
    return {name: (grad.to_dense() if grad.is_sparse else grad).float().clone() for name, grad in found.items()}


def _distance(found: Tensor, reference: Tensor) -> float:
    """Return the norm of the difference relative to the reference; infinite if a value is NaN."""
    difference = float((found.double() - reference.double()).norm() / reference.double().norm())
    return difference if difference == difference else float("inf")


def _gradient_distance(found: dict[str, Tensor], reference: dict[str, Tensor]) -> tuple[float, str]:
    """Return the distance of all gradients together, and the parameter with the largest difference."""
    if found.keys() != reference.keys():
        return float("inf"), f"different parameters: {sorted(found.keys() ^ reference.keys())[:3]}"
    squares = {name: float((found[name].double() - grad.double()).pow(2).sum()) for name, grad in reference.items()}
    worst = max(squares, key=lambda name: squares[name])
    total = sum(float(grad.double().pow(2).sum()) for grad in reference.values())
    distance = (sum(squares.values()) / total) ** 0.5
    return (distance if distance == distance else float("inf")), f"largest in {worst}"
