"""What transformers, TRL, pyarrow and tensorboard make of what prefline wrote. Reads a JSON job on stdin, writes JSON."""
import importlib.util
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


def model(job):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, logging

    logging.disable_progress_bar()
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(job["folder"])
    network, loading = AutoModelForCausalLM.from_pretrained(
        job["folder"], output_loading_info=True, dtype=torch.float32
    )
    network.eval()
    network.save_pretrained(job["whole"])
    tokenizer.save_pretrained(job["whole"])
    network.save_pretrained(job["sharded"], max_shard_size="20KB")
    tokenizer.save_pretrained(job["sharded"])
    answers = []
    for text in job["texts"]:
        ids = tokenizer(text)["input_ids"]
        with torch.no_grad():
            logits = network(torch.tensor([ids])).logits[0].log_softmax(-1)
        own = [logits[i, ids[i + 1]].item() for i in range(len(ids) - 1)]
        asked = torch.tensor([ids])
        mask = torch.ones_like(asked)
        made = network.generate(asked, attention_mask=mask, max_new_tokens=job["steps"], do_sample=False, pad_token_id=1)
        greedy = made[0][len(ids):].tolist()
        back = tokenizer.decode(ids, skip_special_tokens=True)
        answers.append({"ids": ids, "logProbs": own, "greedy": greedy, "text": back})
    problems = {name: sorted(map(str, loading[name])) for name in ["missing_keys", "unexpected_keys", "mismatched_keys"]}
    return {"answers": answers, "problems": problems, "generation": network.generation_config.to_diff_dict()}


def trl(job):
    from transformers import PreTrainedTokenizerFast
    from trl import apply_chat_template, extract_prompt

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=job["tokenizer"], **job["specials"])
    rendered = []
    for case in job["templates"]:
        tokenizer.chat_template = case["template"]
        try:
            rendered.append(apply_chat_template(case["example"], tokenizer, tools=case.get("tools")))
        except Exception as error:
            rendered.append({"error": type(error).__name__})
    return {"extracted": [extract_prompt(example) for example in job["implicit"]], "rendered": rendered}


def parquet(job):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for codec in ["zstd", "gzip", "brotli", "snappy", "none"]:
        pq.write_table(pa.Table.from_pylist(job["rows"]), f"{job['folder']}/{codec}.parquet", compression=codec)
    return {"read": pq.read_table(job["file"]).to_pylist()}


def tensorboard(job):
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(job["folder"], size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [[e.step, e.value, e.wall_time] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


jobs = json.load(sys.stdin)
made = {name: globals()[name](job) for name, job in jobs.items()}
print("\n" + json.dumps(made))
