"""PyTorch as a child process of the benches: JSON requests on standard input, one answer a line on standard output."""

import json
import os
import resource
import sys
import time

THREADS = int(os.environ["PREFLINE_BENCH_THREADS"])
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(THREADS)

import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from model import Llama  # noqa: E402
from workload import SAMPLING_SCALE, Sizes, matrices, prompts, tokens  # noqa: E402

torch.set_num_threads(THREADS)


def peak_bytes():
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else usage * 1024


class Training:
    def __init__(self, sizes):
        self.sizes = sizes
        self.policy = Llama(sizes, trainable=True)
        self.reference = Llama(sizes, trainable=False)
        self.optimizer = torch.optim.Adam(self.policy.parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, fused=True)
        self.step = 0

    def run(self, steps):
        batches = [torch.from_numpy(tokens(self.sizes, self.step + i)) for i in range(steps)]
        self.step += steps
        out = {"wall": [], "cpu": [], "losses": []}
        for ids in batches:
            wall, cpu = time.perf_counter(), time.process_time()
            with torch.no_grad():
                reference = self.reference.completion_log_probs(ids)
            chosen, rejected = (self.policy.completion_log_probs(ids) - reference).chunk(2)
            loss = F.softplus(-0.1 * (chosen - rejected)).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            out["losses"].append(loss.item())
            out["wall"].append(1000 * (time.perf_counter() - wall))
            out["cpu"].append(1000 * (time.process_time() - cpu))
        return out


class Sampling:
    """`transformers`' own Llama with the workload's weights, and its `generate`."""

    def __init__(self, sizes):
        from transformers import LlamaConfig, LlamaForCausalLM

        self.sizes = sizes
        config = LlamaConfig(
            vocab_size=sizes.vocabulary,
            hidden_size=sizes.hidden,
            intermediate_size=sizes.inner,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            num_key_value_heads=sizes.heads,
            max_position_embeddings=sizes.length,
            rms_norm_eps=1e-6,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,
        )
        self.model = LlamaForCausalLM(config).eval()
        self.model.load_state_dict(self.state(), strict=False)
        self.model.tie_weights()

    def state(self):
        h, inner = self.sizes.hidden, self.sizes.inner
        drawn = iter(matrices(self.sizes, SAMPLING_SCALE))
        turned = lambda m: torch.from_numpy(m.T.copy())  # noqa: E731
        state = {"model.embed_tokens.weight": torch.from_numpy(next(drawn).copy())}
        for layer in range(self.sizes.layers):
            at = f"model.layers.{layer}."
            qkv, o, gate_up, down = next(drawn), next(drawn), next(drawn), next(drawn)
            for i, name in enumerate("qkv"):
                state[f"{at}self_attn.{name}_proj.weight"] = turned(qkv[:, i * h : (i + 1) * h])
            state[f"{at}self_attn.o_proj.weight"] = turned(o)
            state[f"{at}mlp.gate_proj.weight"] = turned(gate_up[:, :inner])
            state[f"{at}mlp.up_proj.weight"] = turned(gate_up[:, inner:])
            state[f"{at}mlp.down_proj.weight"] = turned(down)
        return state

    def run(self, rows, prompt, new, greedy):
        ids = torch.from_numpy(prompts(self.sizes, rows, prompt))
        wall, cpu = time.perf_counter(), time.process_time()
        with torch.inference_mode():
            made = self.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=new,
                do_sample=not greedy,
                **({} if greedy else {"temperature": 1.0, "top_k": 0, "top_p": 1.0}),
                use_cache=True,
                pad_token_id=0,
            )
        times = {"wall": [1000 * (time.perf_counter() - wall)], "cpu": [1000 * (time.process_time() - cpu)]}
        assert made.shape == (rows, prompt + new), made.shape
        return {**times, "tokens": made[:, prompt:].tolist()}


def answer(request, held):
    match request["op"]:
        case "train":
            training = held.get("training") or held.setdefault("training", Training(held["sizes"]))
            return training.run(request["steps"])
        case "sample":
            sampling = held.get("sampling") or held.setdefault("sampling", Sampling(held["sizes"]))
            return sampling.run(request["rows"], request["prompt"], request["new"], request["greedy"])
        case "sizes":
            held.clear()
            held["sizes"] = Sizes(**request["sizes"])
            return {"peakBytes": peak_bytes(), "describe": f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"}
        case "end":
            return {"peakBytes": peak_bytes()}


def main():
    held = {}
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(answer(request, held)), flush=True)
        if request["op"] == "end":
            return


main()
