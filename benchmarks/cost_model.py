"""What a training costs, from sizes and a few constants: for planning beyond the machine at hand.

    python benchmarks/cost_model.py --base bert-base --tokens 41

prints what it says for 1, 8 and 64 GPUs and 10^5 to 10^9 texts. `benchmarks/scaling.py` puts it beside what was
measured. docs/scaling.md explains it.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import _common as common


@dataclass(frozen=True)
class Shape:
    """A BERT: hidden size, inner size, layers, attention heads, vocabulary with positions."""

    hidden: int
    inner: int
    layers: int
    heads: int = 12
    embeddings: int = 30522 + 512 + 2

    @property
    def layer_parameters(self) -> int:
        return 4 * self.hidden**2 + 2 * self.hidden * self.inner + 9 * self.hidden + self.inner

    def flops_per_token(self, tokens: float) -> float:
        """Of one layer, forward, in texts of so many tokens."""
        return 2 * (4 * self.hidden**2 + 2 * self.hidden * self.inner) + 4 * self.hidden * tokens

    def flops_per_first(self, tokens: float) -> float:
        """Of a last layer that computes the first token of a text only, forward."""
        projections = 2 * (4 * self.hidden**2 + 2 * self.hidden * self.inner)
        return projections + 4 * self.heads * self.hidden * tokens

    def trained(self, unfreeze: int | str) -> int:
        """Parameters that train, the classifier aside."""
        if unfreeze == "all":
            return self.layers * self.layer_parameters + self.embeddings * self.hidden + self.hidden**2
        return int(unfreeze) * self.layer_parameters


SHAPES = {"minilm": Shape(384, 1536, 6), "bert-base": Shape(768, 3072, 12)}


@dataclass(frozen=True)
class Machine:
    """Rates of one process.

    Attributes:
        flops: FLOP/s of a matrix product.
        prefix_share: Share of that which the frozen layers reach.
        step_share: Share of it which a training step reaches in whole layers.
        memory: Bytes/s of the memory.
        step_seconds: What a step takes beside products and memory: starting operations, random numbers, small products.
        layer_seconds: The same for every whole layer that trains.
        tokenizer: Tokens/s.
        network: Bytes/s between processes.
        latency: Seconds of one exchange.
    """

    flops: float
    prefix_share: float
    step_share: float
    memory: float
    step_seconds: float
    layer_seconds: float
    tokenizer: float
    network: float
    latency: float


# flops is measured in the run (gemm_peak); the rest is fitted to runs of scaling.py, see docs/scaling.md.
CPU = Machine(0.4e12, 0.62, 0.55, 30e9, 6.5e-3, 7e-3, 0.8e6, 2e9, 1e-3)
# Assumptions: two fifths of the data sheet's dense bf16 product, its memory, a 400 Gbit/s network, 16 cores a GPU.
GPU = Machine(989e12, 0.4, 0.3, 3.35e12, 5e-3, 1e-3, 6e6, 50e9, 50e-6)


@dataclass(frozen=True)
class Cost:
    """Seconds and bytes, each of one of the processes.

    Attributes:
        tokenizer_seconds: Once.
        prefix_seconds: Once, beside the tokenizer.
        epoch_seconds: For every epoch.
        cache_bytes: Activations that are kept.
        exchanged_bytes: In every step, sent and received.
    """

    tokenizer_seconds: float
    prefix_seconds: float
    epoch_seconds: float
    cache_bytes: float
    exchanged_bytes: float


def training_cost(
    shape: Shape,
    machine: Machine,
    *,
    texts: float,
    tokens: float,
    unfreeze: int | str = 1,
    batch_size: int = 32,
    processes: int = 1,
) -> Cost:
    """Return what a training on so many texts of so many tokens costs, without validation."""
    whole = shape.layers - 1 if unfreeze == "all" else max(int(unfreeze) - 1, 0)
    frozen = 0 if unfreeze == "all" else shape.layers - int(unfreeze)
    own = texts / processes
    prefix_flops = own * tokens * frozen * shape.flops_per_token(tokens)
    trained = shape.trained(unfreeze)
    batch = batch_size / processes
    # Forward, and backward for inputs and for weights.
    step_flops = 3 * batch * (tokens * whole * shape.flops_per_token(tokens) + shape.flops_per_first(tokens))
    # AdamW reads gradient, weight and two moments and writes all but the first; clipping reads the gradient.
    moved = 32 * trained + 2 * batch * tokens * shape.hidden * (frozen > 0)
    exchanged = 2 * 4 * trained * (processes - 1) / processes
    step = (
        step_flops / (machine.step_share * machine.flops)
        + moved / machine.memory
        + machine.step_seconds
        + whole * machine.layer_seconds
        + (exchanged / machine.network + machine.latency if processes > 1 else 0.0)
    )
    return Cost(
        tokenizer_seconds=own * tokens / machine.tokenizer,
        prefix_seconds=prefix_flops / (machine.prefix_share * machine.flops),
        epoch_seconds=texts / batch_size * step,
        cache_bytes=own * tokens * shape.hidden * 2 * (frozen > 0),
        exchanged_bytes=exchanged,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", choices=list(SHAPES), default="bert-base")
    parser.add_argument("--tokens", type=float, default=41)
    parser.add_argument("--unfreeze", default="1")
    parser.add_argument("--batch-size", type=int, default=32, help="of each process")
    parser.add_argument("--epochs", type=int, default=4)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for exponent in range(5, 10):
        for processes in (1, 8, 64):
            cost = training_cost(
                SHAPES[arguments.base],
                GPU,
                texts=10**exponent,
                tokens=arguments.tokens,
                unfreeze=arguments.unfreeze,
                batch_size=arguments.batch_size * processes,
                processes=processes,
            )
            first = max(cost.tokenizer_seconds, cost.prefix_seconds)
            rows.append(
                {
                    "texts": f"10^{exponent}",
                    "GPUs": processes,
                    "tokenizer min": cost.tokenizer_seconds / 60,
                    "frozen layers min": cost.prefix_seconds / 60,
                    "epoch min": cost.epoch_seconds / 60,
                    "all min": (first + arguments.epochs * cost.epoch_seconds) / 60,
                    "kept GB a GPU": cost.cache_bytes / 1e9,
                    "exchanged MB a step": cost.exchanged_bytes / 1e6,
                }
            )
    common.print_table(rows)


if __name__ == "__main__":
    main()
