"""T5 with adapters in either stack, learnt or generated for every input: Hyperdecoders (Ivison & Peters 2022).

For transformers 4.57 and 5:

    model = AutoModelForSeq2SeqLM.from_pretrained(directory, trust_remote_code=True)

Everything that is T5's is transformers' own. What is added stands here: an adapter beside the feed-forward layer
of every block, and what makes its weights. Parameters have the names of the reference implementation.

`encoder_adapter` and `decoder_adapter` of the configuration say, each for its stack, where the weights come from:
`none`, `manual` (one adapter a layer), `manual_specific` (one a layer and task), `task` (generated from an embedding
of the task), `generated` (generated from the instance). In the modes that depend on the task, `forward` and `generate`
want `tasks`: names of `config.tasks` or their places in it, one for every row of the batch or one for all.
"""

import copy
import functools
import inspect
import math
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import nn
from transformers import GenerationMixin, T5Config, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.t5.modeling_t5 import T5LayerFF, T5Stack
from transformers.utils import ModelOutput, logging

logger = logging.get_logger(__name__)

# The length of the embedding of a layer's index, which the reference fixes.
LAYER_EMBEDDING_SIZE = 10

# Whether transformers keeps the scaling of the output apart from the tying of the embeddings, as it does since 5.
SCALES_APART = hasattr(T5Config(), "scale_decoder_outputs")


class HyperdecoderConfig(T5Config):
    """T5's configuration, with the fields of the adapters."""

    model_type = "hyperdecoder"

    def __init__(
        self,
        encoder_adapter="none",
        decoder_adapter="none",
        encoder_adapter_dim=64,
        decoder_adapter_dim=64,
        hypernetwork_bottleneck=128,
        adapter_norm_input=False,
        process_encoder_output=True,
        tasks=(),
        tie_word_embeddings=True,
        scale_decoder_outputs=None,
        **kwargs,
    ):
        self.encoder_adapter = encoder_adapter
        self.decoder_adapter = decoder_adapter
        self.encoder_adapter_dim = encoder_adapter_dim
        self.decoder_adapter_dim = decoder_adapter_dim
        self.hypernetwork_bottleneck = hypernetwork_bottleneck
        self.adapter_norm_input = adapter_norm_input
        self.process_encoder_output = process_encoder_output
        self.tasks = list(tasks)
        # transformers 5 overwrites `tie_word_embeddings`, which then says nothing of the head.
        self.has_own_head = not tie_word_embeddings
        scale = tie_word_embeddings if scale_decoder_outputs is None else scale_decoder_outputs
        super().__init__(tie_word_embeddings=tie_word_embeddings, scale_decoder_outputs=scale, **kwargs)

    def to_dict(self):
        fields = super().to_dict()
        fields["tie_word_embeddings"] = not fields.pop("has_own_head")
        return fields

    def get_text_config(self, decoder=None, encoder=None):
        """As any configuration's, with the decoder's depth where that is asked for: caches have so many layers."""
        config = super().get_text_config(decoder=decoder, encoder=encoder)
        if decoder and not encoder and config.num_layers != self.num_decoder_layers:
            config = copy.copy(config)
            config.num_layers = self.num_decoder_layers
        return config


class AdapterWeights(NamedTuple):
    """An adapter for every row of a batch; D is the model's width, A the adapter's."""

    down_weight: torch.Tensor  # [batch, D, A]
    down_bias: torch.Tensor  # [batch, A]
    up_weight: torch.Tensor  # [batch, A, D]
    up_bias: torch.Tensor  # [batch, D]


# The adapters of the call that is under way, by layer. They are no attributes of the layers, since two threads may
# call one model at a time.
_given = ContextVar("adapters that are given to layers", default={})


class Adapter(nn.Module):
    """The adapter of one layer: up(relu(down(x))), with weights of its own, or those that are given to it."""

    def __init__(self, width, size, tasks=None):
        super().__init__()
        self.tasks = tasks
        if tasks is None:
            self.adapter_down_manual = nn.Linear(width, size)
            self.adapter_up_manual = nn.Linear(size, width)
        else:
            self.adapter_down_manual_weight = nn.Parameter(torch.empty(tasks, width, size))
            self.adapter_down_manual_bias = nn.Parameter(torch.empty(tasks, 1, size))
            self.adapter_up_manual_weight = nn.Parameter(torch.empty(tasks, size, width))
            self.adapter_up_manual_bias = nn.Parameter(torch.empty(tasks, 1, width))

    def of_tasks(self, tasks):
        """For each row its task's weights. `tasks` is [batch]."""
        return AdapterWeights(
            self.adapter_down_manual_weight[tasks],
            self.adapter_down_manual_bias[tasks, 0],
            self.adapter_up_manual_weight[tasks],
            self.adapter_up_manual_bias[tasks, 0],
        )

    def forward(self, x, weights=None):
        """What is to be added to the feed-forward layer's output. `x` is [batch, length, D]."""
        if weights is None:
            own = self.adapter_down_manual.weight.dtype
            return self.adapter_up_manual(torch.relu(self.adapter_down_manual(x.to(own)))).to(x.dtype)
        down_weight, down_bias, up_weight, up_bias = (part.to(x.device, x.dtype) for part in weights)
        hidden = torch.relu(torch.baddbmm(down_bias.unsqueeze(1), x, down_weight))
        return torch.baddbmm(up_bias.unsqueeze(1), hidden, up_weight)

    def reset(self):
        """Draws new weights, so small that the backbone computes nearly what it did."""
        if self.tasks is None:
            weights = [self.adapter_down_manual.weight, self.adapter_up_manual.weight]
            biases = [self.adapter_down_manual.bias, self.adapter_up_manual.bias]
        else:
            weights = [self.adapter_down_manual_weight, self.adapter_up_manual_weight]
            biases = [self.adapter_down_manual_bias, self.adapter_up_manual_bias]
        for weight in weights:
            nn.init.xavier_uniform_(weight, gain=1e-4)
        for bias in biases:
            nn.init.zeros_(bias)


class AdapterHeads(nn.Module):
    """The hypernetwork proper: from a vector to the four parts of an adapter."""

    def __init__(self, inputs, bottleneck, width, size):
        super().__init__()
        self.width, self.size = width, size
        self.linear1 = nn.Linear(inputs, bottleneck)
        self.weight_up = nn.Linear(bottleneck, width * size)
        self.weight_down = nn.Linear(bottleneck, width * size)
        self.bias_up = nn.Linear(bottleneck, width)
        self.bias_down = nn.Linear(bottleneck, size)

    def forward(self, x):
        t = torch.relu(self.linear1(x))
        return AdapterWeights(
            self.weight_down(t).unflatten(-1, (self.width, self.size)),
            self.bias_down(t),
            self.weight_up(t).unflatten(-1, (self.size, self.width)),
            self.bias_up(t),
        )

    def reset(self):
        """Draws new weights, so that what is generated of them is small as well."""
        reset_linear(self.linear1)
        fans = {self.weight_up: self.size, self.weight_down: self.width, self.bias_up: 1, self.bias_down: 1}
        for head, fan in fans.items():
            bound = 1e-3 * math.sqrt(3 / (fan * head.in_features))
            nn.init.uniform_(head.weight, -bound, bound)
            nn.init.zeros_(head.bias)


class Hypernetwork(nn.Module):
    """Generates the adapters of all layers of a stack, each from the same vector and the layer's own embedding."""

    def __init__(self, layers, bottleneck, width, size):
        super().__init__()
        self.layer_embed = nn.Embedding(layers, LAYER_EMBEDDING_SIZE)
        self.decoder = AdapterHeads(width + LAYER_EMBEDDING_SIZE, bottleneck, width, size)

    def forward(self, z):
        """The adapters by layer. `z` is [batch, D]."""
        layers = self.layer_embed.weight  # [layers, 10]
        pairs = torch.cat(
            [z.unsqueeze(0).expand(len(layers), -1, -1), layers.unsqueeze(1).expand(-1, len(z), -1)], dim=-1
        )  # [layers, batch, D + 10]
        return [AdapterWeights(*parts) for parts in zip(*self.decoder(pairs))]


class AdaptedFeedForward(T5LayerFF):
    """T5's feed-forward sub-layer with an adapter in parallel: h + FF(norm(h)) + adapter(h)."""

    def __init__(self, config, size, tasks, has_own_weights):
        super().__init__(config)
        self.adapter_layer = Adapter(config.d_model, size, tasks)
        self.has_own_weights = has_own_weights
        self.reads_norm = config.adapter_norm_input

    def forward(self, hidden_states):
        weights = _given.get().get(self)
        if weights is None and not self.has_own_weights:
            raise RuntimeError(
                "The adapters of this stack are made by the whole model: call the model, not the stack alone."
            )
        x = self.layer_norm(hidden_states) if self.reads_norm else hidden_states
        return super().forward(hidden_states) + self.adapter_layer(x, weights)


class AdaptedModel:
    """What stacks and models have in common: how they are loaded, and how new parameters are drawn."""

    config_class = HyperdecoderConfig
    # A block that is computed a second time would not find the adapters that it was given the first time.
    supports_gradient_checkpointing = False

    def _init_weights(self, module):
        if isinstance(module, (Adapter, AdapterHeads)):
            module.reset()
        elif isinstance(module, Hypernetwork):
            nn.init.normal_(module.layer_embed.weight)
        else:
            super()._init_weights(module)
        if hasattr(module, "adapter_task_embedding"):
            nn.init.normal_(module.adapter_task_embedding.weight)
        if hasattr(module, "mlp"):
            reset_linear(module.mlp[0])
            reset_linear(module.mlp[2])


class HyperdecoderStack(AdaptedModel, T5Stack):
    """One of T5's stacks with adapters, and what makes them."""

    def __init__(self, config):
        super().__init__(config)
        side = "decoder" if config.is_decoder else "encoder"
        mode = getattr(config, f"{side}_adapter")
        size = getattr(config, f"{side}_adapter_dim")
        width, tasks = config.d_model, len(config.tasks)
        self.adapter_mode = mode
        self.has_perceptron = mode == "generated" and config.process_encoder_output
        if mode == "none":
            return
        # Before the encoder's adapters are generated it runs once with adapters of its own.
        has_own_weights = mode == "manual" or (mode == "generated" and not config.is_decoder)
        for block in self.block:
            block.layer[-1] = AdaptedFeedForward(
                config, size, tasks if mode == "manual_specific" else None, has_own_weights
            )
        if mode in ("task", "generated"):
            self.param_gen = Hypernetwork(len(self.block), config.hypernetwork_bottleneck, width, size)
        if mode == "task":
            self.adapter_task_embedding = nn.Embedding(tasks, width)
        if self.has_perceptron:
            self.mlp = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def make_adapters(self, encoded=None, mask=None, tasks=None):
        """The adapters of all layers for the rows of a batch; None where the layers' own are used.

        Args:
            encoded: what the encoder made of the instances, [batch, length, D]
            mask: 1 where that is a token, 0 where it is padding, [batch, length]; all are tokens without it
            tasks: as `forward` of the model takes them
        """
        if self.adapter_mode == "generated":
            return self.param_gen(self.pooled(encoded, mask))
        if self.adapter_mode not in ("task", "manual_specific"):
            return None
        tasks = rows_of(tasks, self.config.tasks, encoded)
        if self.adapter_mode == "task":
            return self.param_gen(self.adapter_task_embedding(tasks))
        return [block.layer[-1].adapter_layer.of_tasks(tasks) for block in self.block]

    def pooled(self, encoded, mask):
        """What the hypernetwork is conditioned on: the mean over the tokens, and what the perceptron makes of it."""
        own = self.param_gen.layer_embed.weight
        if mask is None:
            mask = torch.ones(encoded.shape[:2], device=encoded.device)
        mask = mask.to(encoded.device, torch.float32).unsqueeze(-1)
        mean = (encoded.float() * mask).sum(1) / mask.sum(1).clamp(min=1)
        mean = mean.to(own.device, own.dtype)
        return self.mlp(mean) if self.has_perceptron else mean

    @contextmanager
    def adapted(self, adapters):
        """Gives adapters to the layers for as long as it is entered."""
        if adapters is None:
            yield
            return
        layers = {block.layer[-1]: weights for block, weights in zip(self.block, adapters)}
        token = _given.set({**_given.get(), **layers})
        try:
            yield
        finally:
            _given.reset(token)

    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None, tasks=None, **kwargs):
        run = functools.partial(
            super().forward, input_ids=input_ids, attention_mask=attention_mask, inputs_embeds=inputs_embeds
        )
        if self.config.is_decoder:
            return run(**kwargs)
        ids = input_ids if inputs_embeds is None else inputs_embeds
        encoded = run()[0] if self.adapter_mode == "generated" else ids
        with self.adapted(self.make_adapters(encoded, attention_mask, tasks)):
            output = run(**kwargs)
        # Of any other type of output, T5's model takes the attentions for hidden states.
        if not isinstance(output, ModelOutput):
            return output
        return BaseModelOutput(**{name: output.get(name) for name in ENCODER_OUTPUTS})


class HyperdecoderForConditionalGeneration(AdaptedModel, T5ForConditionalGeneration, GenerationMixin):
    """T5 that generates text, with adapters in either stack."""

    def __init__(self, config):
        if config.has_own_head and isinstance(self._tied_weights_keys, dict):
            keys = self._tied_weights_keys.items()
            self._tied_weights_keys = {name: other for name, other in keys if name != "lm_head.weight"}
        super().__init__(config)
        self.encoder = HyperdecoderStack(self.encoder.config)
        self.decoder = HyperdecoderStack(self.decoder.config)
        self.set_input_embeddings(self.shared)
        # Where a model is loaded in float16, T5 keeps its residual stream in float32, which adapters read and add to.
        names = {part for name, _ in self.named_modules() for part in name.split(".")}
        self._keep_in_fp32_modules = [name for name in FLOAT32_MODULES if name in names]
        if config.has_own_head and config.scale_decoder_outputs and not SCALES_APART:
            self.lm_head.register_forward_pre_hook(functools.partial(scaled_input, self.model_dim**-0.5))
        self.post_init()

    def forward(
        self, input_ids=None, attention_mask=None, decoder_input_ids=None, decoder_attention_mask=None, **kwargs
    ):
        """As T5's, with `tasks`: what the adapters depend on, where they depend on tasks."""
        tasks = self._checked_tasks(kwargs.pop("tasks", None))
        encoder_outputs = kwargs.pop("encoder_outputs", None)
        inputs_embeds = kwargs.pop("inputs_embeds", None)
        if encoder_outputs is None:
            encoder_outputs = self.encoder(
                input_ids=input_ids,
                attention_mask=attention_mask,
                inputs_embeds=inputs_embeds,
                tasks=tasks,
                **{name: kwargs[name] for name in ENCODER_ARGUMENTS if name in kwargs},
            )
        adapters = encoder_outputs.get("decoder_adapters") if isinstance(encoder_outputs, ModelOutput) else None
        if adapters is None:
            adapters = self.decoder.make_adapters(encoder_outputs[0], attention_mask, tasks)
        with self.decoder.adapted(adapters):
            return super().forward(
                input_ids=input_ids,
                attention_mask=attention_mask,
                decoder_input_ids=decoder_input_ids,
                decoder_attention_mask=decoder_attention_mask,
                encoder_outputs=encoder_outputs,
                **kwargs,
            )

    @functools.wraps(T5ForConditionalGeneration.prepare_inputs_for_generation)
    def prepare_inputs_for_generation(self, *args, **kwargs):
        inputs = super().prepare_inputs_for_generation(*args, **kwargs)
        encoded = inputs.get("encoder_outputs")
        # Made once for an answer, and kept with the encoding that they depend on: by now there is a row for every beam.
        if isinstance(encoded, ModelOutput) and "decoder_adapters" not in encoded:
            adapters = self.decoder.make_adapters(encoded[0], inputs.get("attention_mask"), inputs.get("tasks"))
            if adapters is not None:
                encoded["decoder_adapters"] = adapters
        return inputs

    def generate(self, *args, tasks=None, encoder_outputs=None, **kwargs):
        """As T5's, with `tasks` as `forward` has them."""
        tasks = self._checked_tasks(tasks)
        if tasks is not None:
            kwargs["tasks"] = tasks
        if isinstance(encoder_outputs, ModelOutput):
            kept = {name: value for name, value in encoder_outputs.items() if name != "decoder_adapters"}
            encoder_outputs = type(encoder_outputs)(**kept)
        if encoder_outputs is not None:
            kwargs["encoder_outputs"] = encoder_outputs
        return super().generate(*args, **kwargs)

    def _checked_tasks(self, tasks):
        """Tasks as places in the list: one number, or a tensor of one for each row. None where none are needed."""
        known = self.config.tasks
        modes = {self.config.encoder_adapter, self.config.decoder_adapter}
        if not modes & {"task", "manual_specific"}:
            if tasks is not None:
                logger.warning_once("The adapters of this model do not depend on the task: `tasks` changes nothing.")
            return None
        if tasks is None:
            raise ValueError(f"The adapters depend on the task: give `tasks`, for each row one of {', '.join(known)}.")
        if isinstance(tasks, (str, int)):
            return place_of(tasks, known)
        if not isinstance(tasks, torch.Tensor):
            tasks = torch.tensor([place_of(task, known) for task in tasks], device=self.device)
        elif tasks.numel() > 0 and not 0 <= int(tasks.min()) <= int(tasks.max()) < len(known):
            raise ValueError(f"`tasks` must be places in the list of tasks, from 0 to {len(known) - 1}.")
        return tasks.to(torch.long)


# Modules that stay in float32 where a model is loaded in float16.
FLOAT32_MODULES = ("wo", "adapter_layer", "param_gen", "mlp", "adapter_task_embedding")

# What an encoder returns.
ENCODER_OUTPUTS = ("last_hidden_state", "hidden_states", "attentions")

# What the encoder takes of the arguments of the whole model.
ENCODER_ARGUMENTS = ("head_mask", "output_attentions", "output_hidden_states", "return_dict")


def place_of(task, known):
    """The place of a task that is given by name or by place."""
    if isinstance(task, str):
        if task not in known:
            raise ValueError(f'There is no adapter for the task "{task}": the tasks are {", ".join(known)}.')
        return known.index(task)
    if not 0 <= int(task) < len(known):
        raise ValueError(f"There is no task {int(task)}: `tasks` are places from 0 to {len(known) - 1}, or names.")
    return int(task)


def rows_of(tasks, known, batch):
    """For each row of a batch the place of its task, [batch]."""
    if tasks is None:
        raise ValueError(f"The adapters depend on the task: give `tasks`, for each row one of {', '.join(known)}.")
    if isinstance(tasks, (str, int)):
        return torch.full((len(batch),), place_of(tasks, known), device=batch.device)
    if not isinstance(tasks, torch.Tensor):
        tasks = torch.tensor([place_of(task, known) for task in tasks])
    tasks = tasks.to(batch.device, torch.long).reshape(-1)
    if len(tasks) != len(batch):
        raise ValueError(f"`tasks` has {len(tasks)} tasks for a batch of {len(batch)}: give one for each row.")
    return tasks


def reset_linear(linear):
    """PyTorch's own initial values, for weight and bias."""
    bound = linear.in_features**-0.5
    nn.init.uniform_(linear.weight, -bound, bound)
    nn.init.uniform_(linear.bias, -bound, bound)


def scaled_input(factor, _module, inputs):
    """A hook that scales what a layer reads."""
    return (inputs[0] * factor, *inputs[1:])


def _with_tasks(signature):
    """The signature of T5's `forward` with `tasks`: transformers looks there for what a model takes."""
    parameters = list(signature.parameters.values())
    rest = [parameters.pop()] if parameters[-1].kind is inspect.Parameter.VAR_KEYWORD else []
    tasks = inspect.Parameter("tasks", inspect.Parameter.KEYWORD_ONLY, default=None)
    return signature.replace(parameters=[*parameters, tasks, *rest])


HyperdecoderForConditionalGeneration.forward.__signature__ = _with_tasks(
    inspect.signature(T5ForConditionalGeneration.forward)
)
