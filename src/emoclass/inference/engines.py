"""What computes logits: torch, or numpy until torch is worth importing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from emoclass.encoders.batching import longest_first
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.numpy_model import NumpyBert
from emoclass.encoders.tokenization import TokenizedTexts
from emoclass.errors import ConfigError
from emoclass.inference.forks import no_fork, still_no_fork
from emoclass.runtime import ENGINES, TORCH_LOADER

if TYPE_CHECKING:
    import torch

    from emoclass.encoders.interface import Model

Array = npt.NDArray[np.float32]

# Of numpy: the activations of so many tokens stay in a CPU's caches.
_CHUNK_TOKENS = 512
# With so many multiplications to do, torch is done before numpy although it must be loaded first
# (docs/experiments.md). Numpy computes an eighth of them meanwhile, so that first results appear.
_WORTH_LOADING = 100e9
_FIRST = 1 / 8
# Numpy is done with so few tokens before torch has compiled kernels for their shape.
_FEW_TOKENS = 64


class Engine(Protocol):
    """Computes logits."""

    def logits(self, texts: TokenizedTexts, waiting: int = 0) -> Array:
        """Return the logits, ``float32[texts, classes]``.

        Args:
            texts: The texts.
            waiting: How many more texts are known to follow.
        """


class NumpyEngine:
    """Numpy on the CPU, in float32.

    Args:
        config: Sizes of the model.
        tensors: Its weights by their names in transformers' classifier; they are used, not copied.
    """

    def __init__(self, config: EncoderConfig, tensors: Mapping[str, Array]) -> None:
        self._model = NumpyBert(config, tensors)

    @property
    def multiplications(self) -> int:
        """Multiplications for each token, about."""
        return self._model.multiplications

    def logits(self, texts: TokenizedTexts, waiting: int = 0) -> Array:
        """Return the logits, ``float32[texts, classes]``."""
        logits = np.empty((len(texts), self._model.num_labels), np.float32)
        for indices in longest_first(texts.lengths, _CHUNK_TOKENS):
            chunk = texts.take(indices)
            with no_fork():
                logits[indices] = self._model(chunk.input_ids, chunk.lengths.tolist())
        return logits


class TorchEngine:
    """Torch on a device.

    Args:
        model: The model, in evaluation mode.
        device: Where to compute.
        dtype: The dtype of all encoder layers but the last.
    """

    def __init__(self, model: Model, *, device: torch.device, dtype: torch.dtype) -> None:
        from emoclass.encoders.generic.model import GenericModel
        from emoclass.encoders.interface import frozen_prefix
        from emoclass.torch_state import prepare_torch, usual_torch

        prepare_torch(device)
        self._prefix = None
        with usual_torch(device):
            self._model, self._device, self._dtype = model.to(device).eval(), device, dtype
            # Prepare the weights now rather than for the first text. A generic model has nothing to prepare.
            if isinstance(model, GenericModel):
                model.dtype = dtype
            else:
                self._prefix = frozen_prefix(model, model.config.num_hidden_layers - 1, dtype)

    @classmethod
    def of(cls, build: Callable[[], Model], *, device: str = "auto", precision: str = "auto") -> TorchEngine:
        """Return an engine of the model that ``build`` returns, on a device and in a precision by their names.

        Raises:
            DeviceError: The device or the precision is not available.
            ModelError: The model cannot be built.
        """
        from emoclass.runtime import resolve_device, resolve_precision
        from emoclass.torch_state import prepare_torch, usual_torch

        place = resolve_device(device)
        dtype = resolve_precision(precision, place)
        prepare_torch(place)
        with usual_torch(place):
            return cls(build(), device=place, dtype=dtype)

    def __getstate__(self) -> tuple[Any, ...]:
        return self._model, self._device, self._dtype

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        model, device, dtype = state
        TorchEngine.__init__(self, model, device=device, dtype=dtype)

    def to(self, device: torch.device, dtype: torch.dtype) -> TorchEngine:
        """Return the engine on another device or in another precision; this one must not be used any more."""
        return TorchEngine(self._model, device=device, dtype=dtype)

    def logits(self, texts: TokenizedTexts, waiting: int = 0) -> Array:
        """Return the logits, ``float32[texts, classes]``."""
        from emoclass.activations.logits import compute_logits
        from emoclass.activations.sources import ActivationSource, ComputedActivations, TokenIds
        from emoclass.torch_state import prepare_torch, usual_modes

        prepare_torch(self._device)
        with no_fork(), usual_modes(self._device):
            source: ActivationSource = TokenIds(texts, self._device)
            if self._prefix is not None:
                source = ComputedActivations(self._prefix, self._prefix.depth, source)
            return compute_logits(self._model, source).numpy()


class GrowingEngine:
    """Numpy for a few texts, torch where many wait: it is loaded in a thread at the first time.

    Both compute the same up to rounding, that of torch's precision.

    Args:
        numpy: What computes a few texts.
        load: Loads what computes many.
    """

    def __init__(self, numpy: NumpyEngine, load: Callable[[], Engine]) -> None:
        self._numpy, self._load = numpy, load
        self._worth_loading = _WORTH_LOADING / numpy.multiplications
        self._lock = threading.Lock()
        self._loader: _Loader | None = None

    def __getstate__(self) -> tuple[Any, ...]:
        return self._numpy, self._load

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        GrowingEngine.__init__(self, *state)

    def logits(self, texts: TokenizedTexts, waiting: int = 0) -> Array:
        """Return the logits, ``float32[texts, classes]``."""
        tokens = int(texts.offsets[-1])
        coming = tokens + waiting * tokens / max(1, len(texts))
        with no_fork(), self._lock:
            if self._loader is not None:
                is_small = coming <= _FEW_TOKENS
            elif coming <= self._worth_loading:
                is_small = True
            else:
                self._loader = _Loader(self._load)
                is_small = tokens <= _FIRST * self._worth_loading
        if is_small or self._loader is None:
            return self._numpy.logits(texts)
        return self._loader.wait().logits(texts)


class _Loader:
    """Loads an engine in a thread; forks wait for it."""

    def __init__(self, load: Callable[[], Engine]) -> None:
        self._load = load
        self._engine: Engine | None = None
        self._error: BaseException | None = None
        self._done = still_no_fork()
        self._thread = threading.Thread(target=self._run, name=TORCH_LOADER)
        self._thread.start()

    def wait(self) -> Engine:
        """Return the engine, or raise what its loading raised."""
        self._thread.join()
        if self._engine is None:
            assert self._error is not None
            raise self._error
        return self._engine

    def _run(self) -> None:
        try:
            self._engine = self._load()
        except BaseException as caught:  # raised by ``wait``
            self._error = caught
        finally:
            self._done()


def chosen_engine(engine: str, device: str, precision: str, *, is_packed: bool = True) -> str:
    """Return the engine that ``auto`` stands for: torch where only torch can do what is asked for.

    Args:
        engine: One of ``ENGINES``.
        device: The requested device.
        precision: The requested precision.
        is_packed: Whether emoclass has a forward pass of its own for the encoder.

    Raises:
        ConfigError: The engine is unknown or not installed, or cannot compute on this device or in this precision.
    """
    if engine not in ENGINES:
        raise ConfigError(f"engine {engine!r} is not known; use {', '.join(ENGINES)}")
    if engine == "numpy" and not is_packed:
        raise ConfigError("this model's encoder runs through transformers, which needs torch")
    fits = is_packed and str(device) in ("auto", "cpu") and precision in ("auto", "fp32")
    if engine == "numpy" and not fits:
        raise ConfigError("numpy computes on the CPU in fp32: leave out the device and the precision, or use torch")
    has_torch = find_spec("torch") is not None
    if not has_torch and (engine == "torch" or not fits):
        raise ConfigError(
            "torch is not installed, and without it emoclass predicts on the CPU in fp32: pip install torch"
        )
    if engine == "auto" and not has_torch:
        return "numpy"
    return engine if fits else "torch"
