"""The model of hyperdecoder.py, to be timed beside this project.

  python3 bench/pytorch.py <directory>          obeys commands from the standard input, one JSON a line
  python3 bench/pytorch.py --check <directory>  compares with a fixture of the reference implementation

A directory to be timed has config.json, model.safetensors and batch.safetensors.
"""

import json
import sys
import time
from pathlib import Path

import torch
from torch import nn

from hyperdecoder import is_adapter_parameter, load_model, read_safetensors, smoothed_loss


class Bench:
    """A model with an optimiser, ready to make updates and to generate."""

    def __init__(self, directory):
        directory = Path(directory)
        config = json.loads((directory / "config.json").read_text())
        self.settings = config["bench"]
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        model = load_model(config, read_safetensors(directory / "model.safetensors"))
        self.model = model.to(self.device).train()
        batch = read_safetensors(directory / "batch.safetensors")
        self.batch = {name: ids.long().to(self.device) for name, ids in batch.items()}
        self.adapters = [
            parameter for name, parameter in model.named_parameters() if is_adapter_parameter(name)
        ]
        model.requires_grad_(False)
        for parameter in self.adapters:
            parameter.requires_grad_(True)
        # On the host, so that they do not count as the GPU's memory.
        self.initial = [parameter.detach().cpu().clone() for parameter in self.adapters]
        self.reset({})

    def reset(self, command):
        """Begins anew with the weights as they were loaded."""
        with torch.no_grad():
            for parameter, initial in zip(self.adapters, self.initial):
                parameter.copy_(initial)
        self.optimizer = torch.optim.AdamW(
            self.adapters,
            lr=self.settings["learningRate"],
            weight_decay=self.settings["weightDecay"],
        )
        return ()

    def obey(self, command):
        """Does the work `count` times, waits, and says how it went."""
        torch.backends.cuda.matmul.allow_tf32 = command["precision"] == "tf32"
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        for _ in range(command["count"]):
            values = getattr(self, command["work"])(command)
        values = [value.detach().double().flatten().tolist() for value in values]
        return {
            "milliseconds": 1000 * (time.perf_counter() - start),
            "values": values,
            "peakBytes": torch.cuda.max_memory_allocated() if self.device == "cuda" else 0,
        }

    def train(self, command):
        self.optimizer.zero_grad(set_to_none=True)
        is_half = command["precision"] == "bf16"
        with torch.autocast(self.device, torch.bfloat16, enabled=is_half):
            logits = self.model(self.batch["source"], self.batch["mask"], self.batch["shifted"])
            loss = smoothed_loss(logits, self.batch["labels"], self.settings["labelSmoothing"])
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.adapters, self.settings["maxNorm"])
        self.optimizer.step()
        return loss, norm

    def decode(self, command):
        self.model.eval()
        tokens = self.model.generate(
            self.batch["source"], self.batch["mask"], command["tokens"], forbid_end=True
        )
        self.model.train()
        return (tokens,)


def check(directory):
    """Holds the model against a fixture: logits, loss, gradients and greedy answers."""
    directory = Path(directory)
    config = json.loads((directory / "config.json").read_text())
    meta = json.loads((directory / "meta.json").read_text())
    tensors = {}
    for file in meta["model_files"]:
        tensors.update(read_safetensors(directory / file))
    model = load_model(config, tensors).eval()
    io = read_safetensors(directory / "io.safetensors")
    ids, mask, labels = (io[n].long() for n in ("input_ids", "attention_mask", "labels"))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(is_adapter_parameter(name))
    logits = model(ids, mask, io["decoder_input_ids"].long())
    loss = smoothed_loss(logits, labels, 0.1)
    loss.backward()
    worst = {"logits": (logits - io["logits"]).abs().max().item()}
    expected = meta["losses"]["label_smoothed_sum"]
    worst["loss, relative"] = abs(loss.item() / expected - 1)
    worst["gradients, of each tensor's largest"] = max(
        (model.get_parameter(name).grad - gradient).abs().max().item()
        / max(gradient.abs().max().item(), 1e-12)
        for name, gradient in read_safetensors(directory / "grads.safetensors").items()
        if is_adapter_parameter(name) and model.get_parameter(name).grad is not None
    )
    answers = torch.tensor(json.loads((directory / "generate.json").read_text())["greedy"])
    own = model.generate(ids, mask, answers.shape[1] - 1)
    worst["greedy tokens that differ"] = (own != answers[:, 1:]).sum().item()
    print(json.dumps(worst, indent=2))
    limits = (1e-4, 1e-5, 1e-4, 0)
    sys.exit(any(value > limit for value, limit in zip(worst.values(), limits)))


def main():
    if sys.argv[1] == "--check":
        check(sys.argv[2])
    bench = Bench(sys.argv[2] if len(sys.argv) > 2 else sys.argv[1])
    name = torch.cuda.get_device_name() if bench.device == "cuda" else "CPU"
    print(json.dumps({"version": torch.__version__, "device": name}), flush=True)
    for line in sys.stdin:
        print(json.dumps(bench.obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
