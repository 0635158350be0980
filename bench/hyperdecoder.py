"""T5 v1.1 with adapters in plain PyTorch.

The model is that of the paper: learnt adapters in the encoder, adapters in the decoder that a
hypernetwork generates for every instance. Parameters have the names of its checkpoints.
"""

import json
import math
import struct
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F


class RmsNorm(nn.Module):
    def __init__(self, dim, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.epsilon = epsilon

    def forward(self, x):
        variance = x.float().pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(variance + self.epsilon))


def position_bucket(relative, bidirectional, buckets, max_distance=128):
    """T5's bucket of a relative position, key minus query."""
    first = torch.zeros_like(relative)
    if bidirectional:
        buckets //= 2
        first = (relative > 0).long() * buckets
        distance = relative.abs()
    else:
        distance = (-relative).clamp(min=0)
    exact = buckets // 2
    scaled = torch.log(distance.clamp(min=1).float() / exact) / math.log(max_distance / exact)
    far = (exact + (scaled * (buckets - exact)).long()).clamp(max=buckets - 1)
    return first + torch.where(distance < exact, distance, far)


class Attention(nn.Module):
    """Unscaled attention; `memory` is what keys and values are made of."""

    def __init__(self, config, has_bias_table=False):
        super().__init__()
        self.heads, self.head_dim = config["num_heads"], config["d_kv"]
        inner = self.heads * self.head_dim
        self.q = nn.Linear(config["d_model"], inner, bias=False)
        self.k = nn.Linear(config["d_model"], inner, bias=False)
        self.v = nn.Linear(config["d_model"], inner, bias=False)
        self.o = nn.Linear(inner, config["d_model"], bias=False)
        self.dropout = nn.Dropout(config["dropout_rate"])
        if has_bias_table:
            buckets = config["relative_attention_num_buckets"]
            self.relative_attention_bias = nn.Embedding(buckets, self.heads)

    def split(self, x):
        return x.view(x.shape[0], -1, self.heads, self.head_dim).transpose(1, 2)

    def keys_values(self, memory):
        return self.split(self.k(memory)), self.split(self.v(memory))

    def forward(self, x, keys_values, bias):
        keys, values = keys_values
        scores = self.split(self.q(x)) @ keys.transpose(2, 3) + bias
        weights = self.dropout(scores.float().softmax(-1).type_as(scores))
        context = (weights @ values).transpose(1, 2).reshape(x.shape[0], x.shape[1], -1)
        return self.o(context)


class AttentionLayer(nn.Module):
    def __init__(self, config, name, has_bias_table=False):
        super().__init__()
        self.add_module(name, Attention(config, has_bias_table))
        self.name = name
        self.layer_norm = RmsNorm(config["d_model"], config["layer_norm_epsilon"])
        self.dropout = nn.Dropout(config["dropout_rate"])

    @property
    def attention(self):
        return getattr(self, self.name)

    def forward(self, h, bias, keys_values=None):
        x = self.layer_norm(h)
        if keys_values is None:
            keys_values = self.attention.keys_values(x)
        return h + self.dropout(self.attention(x, keys_values, bias))

    def step(self, h, bias, cache):
        """One position, whose key and value go to the end of the cache."""
        x = self.layer_norm(h)
        new = self.attention.keys_values(x)
        cache = new if cache is None else [torch.cat(pair, 2) for pair in zip(cache, new)]
        return h + self.dropout(self.attention(x, cache, bias)), cache


class DenseReluDense(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.wi_0 = nn.Linear(config["d_model"], config["d_ff"], bias=False)
        self.wi_1 = nn.Linear(config["d_model"], config["d_ff"], bias=False)
        self.wo = nn.Linear(config["d_ff"], config["d_model"], bias=False)
        self.dropout = nn.Dropout(config["dropout_rate"])

    def forward(self, x):
        gate = F.gelu(self.wi_0(x), approximate="tanh")
        return self.wo(self.dropout(gate * self.wi_1(x)))


class Adapter(nn.Module):
    def __init__(self, config, bottleneck):
        super().__init__()
        self.adapter_down_manual = nn.Linear(config["d_model"], bottleneck)
        self.adapter_up_manual = nn.Linear(bottleneck, config["d_model"])

    def forward(self, x, generated=None):
        if generated is None:
            return self.adapter_up_manual(self.adapter_down_manual(x).relu())
        hidden = (x @ generated["weight_down"] + generated["bias_down"]).relu()
        return hidden @ generated["weight_up"] + generated["bias_up"]


class FeedForwardLayer(nn.Module):
    def __init__(self, config, mode, bottleneck):
        super().__init__()
        self.DenseReluDense = DenseReluDense(config)
        self.layer_norm = RmsNorm(config["d_model"], config["layer_norm_epsilon"])
        self.dropout = nn.Dropout(config["dropout_rate"])
        self.adapter_layer = None if mode == "none" else Adapter(config, bottleneck)

    def forward(self, h, generated=None):
        y = h + self.dropout(self.DenseReluDense(self.layer_norm(h)))
        return y if self.adapter_layer is None else y + self.adapter_layer(h, generated)


class Block(nn.Module):
    def __init__(self, config, side, index):
        super().__init__()
        layers = [AttentionLayer(config, "SelfAttention", has_bias_table=index == 0)]
        if side == "decoder":
            layers.append(AttentionLayer(config, "EncDecAttention"))
        mode, bottleneck = config[f"{side}_adapter"], config[f"{side}_adapter_dim"]
        layers.append(FeedForwardLayer(config, mode, bottleneck))
        self.layer = nn.ModuleList(layers)


class Heads(nn.Module):
    """The hypernetwork proper: from an instance's vector and a layer's embedding to an adapter."""

    def __init__(self, config, bottleneck):
        super().__init__()
        self.dims = config["d_model"], bottleneck
        hidden = config["hypernetwork_bottleneck"]
        self.linear1 = nn.Linear(config["d_model"] + 10, hidden)
        self.weight_up = nn.Linear(hidden, config["d_model"] * bottleneck)
        self.weight_down = nn.Linear(hidden, config["d_model"] * bottleneck)
        self.bias_up = nn.Linear(hidden, config["d_model"])
        self.bias_down = nn.Linear(hidden, bottleneck)

    def forward(self, rows):
        model_dim, bottleneck = self.dims
        t = self.linear1(rows).relu()
        return {
            "weight_down": self.weight_down(t).view(-1, model_dim, bottleneck),
            "bias_down": self.bias_down(t).unsqueeze(1),
            "weight_up": self.weight_up(t).view(-1, bottleneck, model_dim),
            "bias_up": self.bias_up(t).unsqueeze(1),
        }


class ParameterGenerator(nn.Module):
    def __init__(self, config, layers, bottleneck):
        super().__init__()
        self.layer_embed = nn.Embedding(layers, 10)
        self.decoder = Heads(config, bottleneck)

    def forward(self, z):
        return [
            self.decoder(torch.cat([z, layer.expand(z.shape[0], -1)], 1))
            for layer in self.layer_embed.weight
        ]


class Stack(nn.Module):
    def __init__(self, config, side, layers):
        super().__init__()
        self.side, self.buckets = side, config["relative_attention_num_buckets"]
        self.block = nn.ModuleList(Block(config, side, i) for i in range(layers))
        self.final_layer_norm = RmsNorm(config["d_model"], config["layer_norm_epsilon"])
        self.dropout = nn.Dropout(config["dropout_rate"])
        if config[f"{side}_adapter"] == "generated":
            dim = config["d_model"]
            self.mlp = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))
            self.param_gen = ParameterGenerator(config, layers, config[f"{side}_adapter_dim"])

    def position_bias(self, queries, keys):
        """Of queries and keys given by their positions: [1, heads, queries, keys]."""
        relative = keys[None, :] - queries[:, None]
        table = self.block[0].layer[0].attention.relative_attention_bias
        bucket = position_bucket(relative, self.side == "encoder", self.buckets)
        return table(bucket).permute(2, 0, 1).unsqueeze(0)


class Hyperdecoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.shared = nn.Embedding(config["vocab_size"], config["d_model"])
        self.encoder = Stack(config, "encoder", config["num_layers"])
        self.decoder = Stack(config, "decoder", config["num_decoder_layers"])
        self.lm_head = nn.Linear(config["d_model"], config["vocab_size"], bias=False)

    def encode(self, ids, mask):
        stack = self.encoder
        positions = torch.arange(ids.shape[1], device=ids.device)
        bias = stack.position_bias(positions, positions)
        bias = bias + (1 - mask[:, None, None, :].float()) * -10000
        h = stack.dropout(self.shared(ids))
        for block in stack.block:
            attention, feed_forward = block.layer
            h = feed_forward(attention(h, bias))
        return stack.dropout(stack.final_layer_norm(h))

    def adapters(self, encoded, mask):
        """The decoder's adapters by layer; None where they are learnt, or there are none."""
        if self.config["decoder_adapter"] != "generated":
            return [None] * len(self.decoder.block)
        weight = mask.unsqueeze(-1).float()
        pooled = (encoded * weight).sum(1) / weight.sum(1)
        return self.decoder.param_gen(self.decoder.mlp(pooled))

    def forward(self, ids, mask, decoder_ids):
        encoded = self.encode(ids, mask)
        stack, length = self.decoder, decoder_ids.shape[1]
        positions = torch.arange(length, device=ids.device)
        future = torch.ones(length, length, device=ids.device).triu(1)
        bias = stack.position_bias(positions, positions) + future * -10000
        cross_bias = (1 - mask[:, None, None, :].float()) * -1e9
        h = stack.dropout(self.shared(decoder_ids))
        for block, adapter in zip(stack.block, self.adapters(encoded, mask)):
            attention, cross, feed_forward = block.layer
            h = attention(h, bias)
            h = cross(h, cross_bias, cross.attention.keys_values(encoded))
            h = feed_forward(h, adapter)
        return self.lm_head(stack.dropout(stack.final_layer_norm(h)))

    @torch.no_grad()
    def generate(self, ids, mask, count, forbid_end=False):
        """Greedy choice of `count` tokens for every row; rows that have ended are padded."""
        encoded = self.encode(ids, mask)
        stack, batch = self.decoder, ids.shape[0]
        adapters = self.adapters(encoded, mask)
        crosses = [block.layer[1].attention.keys_values(encoded) for block in stack.block]
        cross_bias = (1 - mask[:, None, None, :].float()) * -1e9
        caches = [None] * len(stack.block)
        token = torch.zeros(batch, 1, dtype=torch.long, device=ids.device)
        ended = torch.zeros(batch, 1, dtype=torch.bool, device=ids.device)
        tokens = []
        for position in range(count):
            positions = torch.arange(position + 1, device=ids.device)
            bias = stack.position_bias(positions[-1:], positions)
            h = self.shared(token)
            for i, block in enumerate(stack.block):
                attention, cross, feed_forward = block.layer
                h, caches[i] = attention.step(h, bias, caches[i])
                h = feed_forward(cross(h, cross_bias, crosses[i]), adapters[i])
            logits = self.lm_head(stack.final_layer_norm(h))
            if forbid_end:
                logits[..., 1] = -math.inf
            token = logits.argmax(-1).masked_fill(ended, 0)
            ended = ended | (token == 1)
            tokens.append(token)
        return torch.cat(tokens, 1)


def smoothed_loss(logits, labels, smoothing):
    """Label-smoothed cross-entropy, summed over labels that are not padding."""
    log_probabilities = F.log_softmax(logits.float(), -1)
    counts = labels != 0
    own = -log_probabilities.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    every = -log_probabilities.mean(-1)
    return (((1 - smoothing) * own + smoothing * every) * counts).sum()


def is_adapter_parameter(name):
    return any(part in name for part in ("adapter", "mlp", "param_gen"))


def read_safetensors(path):
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    types = {"F32": torch.float32, "I32": torch.int32}
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = torch.frombuffer(bytearray(data[begin:end]), dtype=types[entry["dtype"]])
        tensors[name] = values.view(entry["shape"])
    return tensors


def load_model(config, tensors):
    model = Hyperdecoder(config)
    state = model.state_dict()
    state.update({name: tensor for name, tensor in tensors.items() if name in state})
    model.load_state_dict(state)
    return model
