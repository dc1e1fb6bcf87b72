"""The Llama of the workload in plain PyTorch, eager, with the library's own fused functions where it has them."""

import torch
from torch.nn import functional as F

from workload import matrices

EPSILON = 1e-6
THETA = 10000.0


class Llama:
    def __init__(self, sizes, trainable):
        self.sizes = sizes
        drawn = iter([torch.from_numpy(m.copy()) for m in matrices(sizes)])
        ones = lambda: torch.ones(sizes.hidden)  # noqa: E731
        self.embedding = next(drawn)
        self.layers = [
            {"norm1": ones(), "qkv": next(drawn), "o": next(drawn), "norm2": ones(), "gate_up": next(drawn), "down": next(drawn)}
            for _ in range(sizes.layers)
        ]
        self.norm = ones()
        self.parameters = [self.embedding, *(p for layer in self.layers for p in layer.values()), self.norm]
        for parameter in self.parameters:
            parameter.requires_grad_(trainable)
        width = sizes.hidden // sizes.heads
        frequency = THETA ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angle = torch.outer(torch.arange(sizes.length, dtype=torch.float64), frequency)
        self.cos = torch.cat([angle.cos(), angle.cos()], 1).float()
        self.sin = torch.cat([angle.sin(), angle.sin()], 1).float()

    def rotate(self, x):
        length = x.shape[2]
        left, right = x.chunk(2, dim=-1)
        return x * self.cos[:length] + torch.cat([-right, left], -1) * self.sin[:length]

    def hidden(self, ids):
        rows, length = ids.shape
        size, heads = self.sizes.hidden, self.sizes.heads
        norm = lambda x, weight: F.rms_norm(x, (size,), weight, EPSILON)  # noqa: E731
        x = F.embedding(ids, self.embedding)
        for layer in self.layers:
            q, k, v = (norm(x, layer["norm1"]) @ layer["qkv"]).view(rows, length, 3, heads, size // heads).permute(2, 0, 3, 1, 4)
            seen = F.scaled_dot_product_attention(self.rotate(q), self.rotate(k), v, is_causal=True)
            x = x + seen.transpose(1, 2).reshape(rows, length, size) @ layer["o"]
            gate, up = (norm(x, layer["norm2"]) @ layer["gate_up"]).chunk(2, dim=-1)
            x = x + (F.silu(gate) * up) @ layer["down"]
        return norm(x, self.norm)

    def completion_log_probs(self, ids):
        """Sums [rows] over positions length / 4 and later; logits are computed for these alone."""
        start = self.sizes.length // 4
        logits = self.hidden(ids[:, :-1])[:, start - 1 :] @ self.embedding.T
        return -F.cross_entropy(logits.flatten(0, 1), ids[:, start:].flatten(), reduction="none").view(len(ids), -1).sum(1)
