"""An encoder with a classifier through transformers' own forward pass, cut at any layer.

The whole model always runs, so that masks, relative positions and the like are its own business. To begin at a layer,
the layers before it do nothing, and its input is replaced. To end at a layer, its input is taken, and the rest does not
run. Packed batches are padded on the way in and packed again on the way out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from emoclass.encoders.generic.config import NEEDED, GenericConfig
from emoclass.errors import ModelError, one_line

# Of logits, relative to the largest one: what two orders of the same sums may differ by.
_ROUNDING = 1e-4
# While a model is cut, no other thread may run it.
_LOCK = threading.RLock()


class GenericModel(nn.Module):
    """An encoder with a classifier, for packed batches.

    Args:
        model: A model of transformers for the classification of texts, in float32.
        config: Its sizes.
        new: Names of parameters that no checkpoint had.

    Attributes:
        new: These names; such parameters always train.
        dtype: What its layers compute in.
        is_cut: Whether the model may begin and end at a layer.
    """

    model: Any  # its classes differ in all but what is used here

    def __init__(self, model: nn.Module, config: GenericConfig, *, new: Sequence[str] = ()) -> None:
        super().__init__()
        self.model, self.config, self.new = model, config, frozenset(new)
        self.dtype = torch.float32
        found = [
            module
            for module in model.modules()
            if isinstance(module, nn.ModuleList) and len(module) == config.num_hidden_layers > 1
        ]
        base = self.model.base_model
        self._layers = [list(found[0])] if found else [[getattr(base, "encoder", base)]]
        self.is_cut = bool(found)
        embeddings = getattr(base, "embeddings", None)
        self._embeddings = [embeddings if isinstance(embeddings, nn.Module) else base.get_input_embeddings()]
        labels = self.model.config.num_labels
        linears = [m for m in self.model.modules() if isinstance(m, nn.Linear) and m.out_features == labels]
        if not linears:
            raise ModelError(f"a model of type {config.model_type!r} has no linear classifier, which emoclass needs")
        self._classifier = [linears[-1]]
        self._outputs: dict[int, int | None] = {}  # number of values that a layer returns, None for one without a tuple

    @property
    def layers(self) -> list[nn.Module]:
        """The encoder layers, first to last; one, if there is no list of them."""
        return self._layers[0]

    @property
    def embeddings(self) -> nn.Module:
        """The embeddings."""
        return self._embeddings[0]

    @property
    def classifier(self) -> nn.Linear:
        """The linear layer from which the logits come."""
        return self._classifier[0]

    @property
    def deepest_cut(self) -> int | None:
        """The deepest layer whose input can be kept, from which the model goes on; ``None`` if it runs as a whole."""
        return len(self.layers) - 1 if self.is_cut else None

    def unfreeze_head(self, *, pooler: bool) -> None:
        """Make the classifier and all that is new trainable, and all else outside the encoder if ``pooler`` is set."""
        inside = {id(p) for p in self.model.base_model.parameters()}
        for name, parameter in self.model.named_parameters():
            if name in self.new or (pooler and id(parameter) not in inside):
                parameter.requires_grad_(True)
        self.classifier.requires_grad_(True)

    @staticmethod
    def own_name(name: str) -> str:
        """Return the name of a parameter in transformers' checkpoints."""
        return name.removeprefix("model.")

    def forward(self, input_ids: Tensor, lengths: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the logits of a packed batch, ``float32[texts, classes]``; see ``PackedBert``."""
        inputs, mask = _padded_ids(input_ids, lengths)
        with _autocast(input_ids.device, dtype):
            logits: Tensor = self.model(input_ids=inputs, attention_mask=mask).logits
        return logits.float()

    def hidden_at(
        self, inputs: Tensor, lengths: Sequence[int], depth: int, *, start: int = 0, dtype: torch.dtype
    ) -> Tensor:
        """Return the input of layer ``depth``, ``dtype[tokens, hidden_size]``.

        Args:
            inputs: Token ids, ``int64[tokens]``, or the input of layer ``start``.
            lengths: Tokens of each text.
            depth: The layer.
            start: The layer to begin at.
            dtype: What to compute in.
        """
        with _autocast(inputs.device, dtype):
            hidden = self._run(inputs, lengths, start, self.layers[depth])
        return hidden[_mask(lengths, hidden.device)].to(dtype)

    def cls_hidden(self, hidden: Tensor, lengths: Sequence[int], layers: Sequence[Any], *, passes: int = 1) -> Tensor:
        """Return what the last linear layer reads, ``float32[passes * texts, width]``; see ``PackedBert``.

        Args:
            hidden: Input of the first of the layers, or token ids, with which the whole model runs.
            lengths: Rows of each text in ``hidden``.
            layers: The layers to run: the last ones of the model.
            passes: How many times to run them, each time with other dropout.
        """
        start = len(self.layers) - len(layers) if hidden.is_floating_point() else 0
        with _autocast(hidden.device, self.dtype):
            states = [self._run(hidden, lengths, start, self.classifier) for _ in range(passes)]
        return torch.cat(states).float()

    def classify(self, cls_hidden: Tensor) -> Tensor:
        """Return the logits, ``float32[texts, classes]``, from what the last linear layer reads."""
        logits: Tensor = self.classifier(cls_hidden)
        return logits

    def logits_from_layer(self, hidden: Tensor, lengths: Sequence[int], start: int) -> Tensor:
        """Return the logits, ``float32[texts, classes]``, from the input of layer ``start``; see ``PackedBert``."""
        return self.classify(self.cls_hidden(hidden, lengths, self.layers[start:]))

    def train(self, mode: bool = True) -> GenericModel:
        """Set the mode as in torch, but keep frozen embeddings and layers in evaluation mode: without dropout."""
        super().train(mode)
        for module in (self.embeddings, *self.layers):
            if not any(p.requires_grad for p in module.parameters()):
                module.eval()
        return self

    @torch.no_grad()
    def check_fit(self) -> None:
        """Run two short texts, to see that the classifier reads one row for each.

        Raises:
            ModelError: It reads others, or the model does not run.
        """
        kind = self.config.model_type
        try:
            read = self._run(torch.ones(5, dtype=torch.int64), [3, 2], 0, self.classifier)
        except Exception as error:  # what a model's own code raises
            raise ModelError(f"a model of type {kind!r} does not run on token ids alone: {one_line(error)}") from None
        if read.dim() != 2:
            raise ModelError(f"a model of type {kind!r} classifies each token, as decoders do; {NEEDED}")

    @torch.no_grad()
    def check_cut(self, input_ids: Tensor, lengths: Sequence[int], depth: int) -> bool:
        """Compare the logits of the whole model with those of its two parts; it is not cut any more if they differ.

        Args:
            input_ids: Token ids of a few texts, ``int64[tokens]``.
            lengths: Tokens of each.
            depth: Where to cut.
        """
        if self.is_cut:
            mode, self.dtype, dtype = self.training, torch.float32, self.dtype
            super().train(False)
            try:
                whole = self(input_ids, lengths)
                hidden = self.hidden_at(input_ids, lengths, depth, dtype=torch.float32)
                parts = self.logits_from_layer(hidden, lengths, depth)
                self.is_cut = bool((whole - parts).abs().max() <= _ROUNDING * max(1.0, float(whole.abs().max())))
            except (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError, ModelError):
                self.is_cut = False
            self.dtype = dtype
            self.train(mode)
        return self.is_cut

    def _run(self, inputs: Tensor, lengths: Sequence[int], start: int, end: nn.Module) -> Tensor:
        """Return the first input of a module, from token ids or from the input of layer ``start``."""
        replaces = inputs.is_floating_point()
        ids = torch.ones(sum(lengths), dtype=torch.int64, device=inputs.device) if replaces else inputs
        padded, mask = _padded_ids(ids, lengths)
        with _LOCK, ExitStack() as stack:
            for layer in self.layers[:start] if replaces else ():
                stack.enter_context(_skipped(layer, self._output_of(layer, padded, mask)))
            if replaces:
                hidden = inputs.new_zeros(*padded.shape, inputs.shape[-1])
                hidden = hidden.masked_scatter(mask.bool()[..., None], inputs)
                stack.enter_context(_with_input(self.layers[start], lambda given: hidden.to(given.dtype)))
            try:
                with _with_input(end, _stop):
                    self.model(input_ids=padded, attention_mask=mask)
            except _ReachedError as reached:
                return reached.state
        raise ModelError(f"a model of type {self.config.model_type!r} runs its layers in no order")

    def _output_of(self, layer: nn.Module, padded: Tensor, mask: Tensor) -> int | None:
        """Return how many values a layer returns in a tuple, ``None`` if it returns one without a tuple."""
        key = id(layer)
        if key not in self._outputs:

            def note(module: nn.Module, inputs: Any, output: Any) -> None:
                self._outputs[id(module)] = len(output) if isinstance(output, tuple) else None

            handles = [each.register_forward_hook(note) for each in self.layers]
            try:
                with torch.no_grad():
                    self.model(input_ids=padded[:1], attention_mask=mask[:1])
            finally:
                for handle in handles:
                    handle.remove()
        return self._outputs[key]


class _ReachedError(Exception):
    """A module was reached, and nothing after it need run."""

    def __init__(self, state: Tensor) -> None:
        super().__init__()
        self.state = state


def _stop(given: Tensor) -> Tensor:
    raise _ReachedError(given)


@contextmanager
def _with_input(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Change the first input of a module."""

    def hook(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (change(args[0]), *args[1:]), named
        return args, {**named, "hidden_states": change(named["hidden_states"])}

    handle = module.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _skipped(layer: Any, values: int | None) -> Iterator[None]:
    """Let a layer return its input, in a tuple of so many values."""

    def same(*args: Any, **named: Any) -> Any:
        hidden = args[0] if args else named["hidden_states"]
        return hidden if values is None else (hidden, *(None,) * (values - 1))

    layer.forward = same  # in place of the class's; its attributes stay
    try:
        yield
    finally:
        del layer.forward


def _autocast(device: torch.device, dtype: torch.dtype) -> Any:
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def _mask(lengths: Sequence[int], device: torch.device) -> Tensor:
    """Return where there is a token, ``bool[texts, longest]``."""
    return torch.arange(max(lengths), device=device) < torch.tensor(lengths, device=device)[:, None]


def _padded_ids(input_ids: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return ids and mask, ``int64[texts, longest]``."""
    mask = _mask(lengths, input_ids.device)
    return torch.zeros_like(mask, dtype=torch.int64).masked_scatter(mask, input_ids), mask.long()
