"""TRL's DPO trainer on a checkpoint folder and a file of pairs. Prints one line of JSON: metrics, and seconds by phase.

Usage: dpo.py '<options as JSON>' with checkpoint, pairs, output, steps, batchSize, beta, learningRate, logEvery, threads.
"""

import json
import os
import resource
import sys
import time

BEGUN = time.perf_counter()
OPTIONS = json.loads(sys.argv[1])
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(OPTIONS["threads"])
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TQDM_DISABLE": "1", "CUDA_VISIBLE_DEVICES": ""}
os.environ["HF_HOME"] = os.path.join(OPTIONS["output"], "cache")

import torch  # noqa: E402

torch.set_num_threads(OPTIONS["threads"])

from datasets import disable_progress_bars, load_dataset  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402
from trl import DPOConfig, DPOTrainer  # noqa: E402


def main():
    seconds = {"import": time.perf_counter() - BEGUN}

    def phase(name):
        seconds[name] = time.perf_counter() - BEGUN - sum(seconds.values())

    disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(OPTIONS["checkpoint"])
    # Loss positions are masked, so any token serves as padding.
    tokenizer.pad_token = tokenizer.eos_token
    pairs = load_dataset("json", data_files=OPTIONS["pairs"], split="train")
    # The tokenizer adds no begin-of-sequence token by itself; the policy was trained with one.
    pairs = pairs.map(lambda pair: {"prompt": tokenizer.bos_token + pair["prompt"]})
    config = DPOConfig(
        output_dir=OPTIONS["output"],
        max_steps=OPTIONS["steps"],
        per_device_train_batch_size=OPTIONS["batchSize"],
        beta=OPTIONS["beta"],
        learning_rate=OPTIONS["learningRate"],
        lr_scheduler_type="constant",
        warmup_steps=0,
        weight_decay=0.0,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        logging_steps=OPTIONS["logEvery"],
        precompute_ref_log_probs=True,
        precompute_ref_batch_size=128,
        train_sampling_strategy="sequential",
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        dataloader_pin_memory=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        model_init_kwargs={"dtype": "float32"},
    )
    trainer = DPOTrainer(model=OPTIONS["checkpoint"], args=config, train_dataset=pairs, processing_class=tokenizer)
    phase("prepare")
    trainer.train()
    phase("train")
    trainer.save_model(os.path.join(OPTIONS["output"], "policy"))
    phase("save")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak = usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
    log = [entry for entry in trainer.state.log_history if "loss" in entry]
    cpu = 1000 * (usage.ru_utime + usage.ru_stime)
    print("\n" + json.dumps({"log": log, "seconds": seconds, "cpuMs": cpu, "peakBytes": peak}), flush=True)


main()
