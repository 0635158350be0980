"""What transformers computes with exported models: `python answers.py cases.json` prints it as JSON.

A case has the directory of a model and one batch, and gets back logits, loss, greedy answers and those of four beams,
the same of what is saved and loaded again, and what loading complained of.
"""

import json
import logging
import sys
import tempfile
import warnings

import torch
import transformers
from transformers import AutoModelForSeq2SeqLM

warnings.filterwarnings("ignore")
complaints = []


class Collector(logging.Handler):
    def emit(self, record):
        complaints.append(record.getMessage())


transformers.logging.disable_default_handler()
transformers.logging.add_handler(Collector(logging.WARNING))
transformers.logging.disable_progress_bar()


def load(directory, **options):
    model, info = AutoModelForSeq2SeqLM.from_pretrained(
        directory, trust_remote_code=True, output_loading_info=True, **options
    )
    return model.eval(), {name: sorted(map(str, keys)) for name, keys in info.items() if keys}


def answer(case):
    complaints.clear()
    model, info = load(case["directory"], dtype=torch.float32)
    loading = [*complaints, *([info] if info else [])]
    inputs = {"input_ids": torch.tensor(case["inputIds"]), "attention_mask": torch.tensor(case["attentionMask"])}
    if case.get("tasks"):
        inputs["tasks"] = case["tasks"]
    decoder_input_ids = torch.tensor(case["decoderInputIds"])
    labels = torch.tensor(case["labels"]) if "labels" in case else None

    def logits(of, **more):
        with torch.no_grad():
            return of(**inputs, decoder_input_ids=decoder_input_ids, **more)

    def generated(of, **options):
        asked = {**inputs, **({"tasks": case["answerTasks"]} if "answerTasks" in case else {})}
        # T5 gets a cache for as many layers as the encoder has.
        cached = of.config.num_layers >= of.config.num_decoder_layers or of.config.model_type == "hyperdecoder"
        ids = of.generate(**asked, max_length=case["maxLength"], do_sample=False, use_cache=cached, **options)
        end = of.config.eos_token_id
        return [row[: row.index(end) + 1] if end in row else row for row in ids.tolist()]

    output = logits(model, labels=labels)
    result = {
        "loading": loading,
        "class": type(model).__name__,
        "logits": output.logits.flatten().tolist(),
        "loss": None if labels is None else output.loss.item(),
        "greedy": generated(model, num_beams=1),
        "beams": generated(model, num_beams=4),
    }
    with tempfile.TemporaryDirectory() as directory:
        model.save_pretrained(directory)
        again, info = load(directory, dtype=torch.float32)
        same = torch.equal(logits(again).logits, logits(model).logits)
        result["saved"] = {"same": same, "info": info}
        if "saveTo" in case:
            model.save_pretrained(case["saveTo"])
    half = load(case["directory"], dtype=torch.float16)[0]
    result["half"] = (logits(half).logits.float() - output.logits).abs().max().item()
    return result


with open(sys.argv[1]) as file:
    cases = json.load(file)
json.dump([answer(case) for case in cases], sys.stdout)
