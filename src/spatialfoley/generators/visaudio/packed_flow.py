"""The flow networks on a CPU with bfloat16 arithmetic: the same computation with packed matrices, nothing twice.

* Matrices are bfloat16, laid out once; sums, norms, softmax, time embedding and what passes from block to block
  are float32.
* Modulations are computed once for each different row of a condition. Synchronisation repeats every row for about
  two latent frames, and without video its rows repeat after a segment: of the 690 rows of a clip and its null
  branch 210 differ in the joint blocks and 363 in the single ones.
* In the last joint block frames and words only answer: their queries are not asked, and what they answer is
  the same for every channel.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from spatialfoley.generators.visaudio.backbone import FlowTrunk
from spatialfoley.generators.visaudio.blocks import (
    AttentionProjection,
    FinalLayer,
    FrameConv1d,
    GatedFeedForward,
    JointBlock,
    Rotation,
    StreamBlock,
)
from spatialfoley.generators.visaudio.conditions import FlowConditions
from spatialfoley.kernels import bfloat16_rows as rows_code
from spatialfoley.kernels.packed import Activation, PackedFeedForward, PackedFrames, unavailable_reason

_DTYPE = torch.bfloat16
_SHIFT, _SCALE, _GATE, _FED_SHIFT, _FED_SCALE, _FED_GATE = range(6)


class Modulation(NamedTuple):
    """Shifts, scales and gates.

    Attributes:
        table: Different ones (U, 6 or 2 times dim), bfloat16.
        of_token: Row of the table for each token (R,).
    """

    table: Tensor
    of_token: Tensor


class PackedStream:
    """One stream's part of a block; see `StreamBlock`."""

    def __init__(self, block: StreamBlock) -> None:
        self.dim = block.attn.qkv.in_features
        self.heads = block.attn.heads
        self._shut_linear = _packed(block.adaLN_modulation[1])
        self._qkv = _packed_qkv(block.attn)
        query_norm, key_norm = block.attn.q_norm, block.attn.k_norm
        self._gains = (_pairs_apart(query_norm.weight.float()), _pairs_apart(key_norm.weight.float()))
        epsilon = block.attn.q_norm.eps
        self._epsilon = torch.finfo(torch.float32).eps if epsilon is None else epsilon
        self._scale = (self.dim // self.heads) ** -0.5 * rows_code.LOG2_E
        self.attention_only = block.attention_only
        if not block.attention_only:
            self._linear1 = _packed(block.linear1)
            self._ffn = _packed_feed_forward(block.ffn)

    def table(self, condition: Tensor) -> Tensor:
        """Modulations (U, 6 or 2 times dim) for the SiLU of conditions (U, dim), bfloat16."""
        return self._shut_linear(condition)

    def before(self, x: Tensor, modulation: Modulation, rotation: Rotation | None) -> Tensor:
        """Queries, keys and values (B, L, 3 dim), bfloat16, of the stream (B, L, dim)."""
        modulated = rows_code.modulate(
            x.flatten(0, 1), *modulation, self._column(_SHIFT), self._column(_SCALE)
        )
        qkv = self._qkv(modulated)
        rows_code.prepare_heads(qkv, self.heads, self._scale, self._gains, self._epsilon, rotation)
        return qkv.unflatten(0, x.shape[:2])

    def after(self, x: Tensor, attended: Tensor, modulation: Modulation) -> Tensor:
        """The stream (B, L, dim), changed in place, after the attention's result (B, L, dim), bfloat16."""
        flat = x.flatten(0, 1)
        mixed = self._linear1(attended.contiguous())
        rows_code.add_rows(flat, mixed.flatten(0, 1), *modulation, self._column(_GATE))
        columns = self._column(_FED_SHIFT), self._column(_FED_SCALE)
        modulated = rows_code.modulate(flat, *modulation, *columns)
        fed = self._ffn(modulated.unflatten(0, x.shape[:2]))
        rows_code.add_rows(flat, fed.flatten(0, 1), *modulation, self._column(_FED_GATE))
        return x

    def alone(self, x: Tensor, modulation: Modulation, rotation: Rotation) -> Tensor:
        """A block of this stream alone: (B, L, dim), changed in place."""
        (attended,) = _attend([self.before(x, modulation, rotation)], self.heads, x.shape[1])
        return self.after(x, attended, modulation)

    def _column(self, part: int) -> int:
        return part * self.dim


class PackedFlow:
    """Velocities of a network with N channels, MMAudio's being one; see `VisaudioNetwork`."""

    def __init__(self, network: FlowTrunk, release: bool = False) -> None:
        """Pack the blocks of a network.

        Args:
            network: On the CPU; its small layers stay in use, as they are.
            release: Whether the weights of its blocks may be dropped, block by block as they are packed.

        Raises:
            ValueError: If this machine or the sizes of the network do not allow it; the message says why.
        """
        reason = packing_refused(network)
        if reason:
            raise ValueError(f"the network cannot be packed: {reason}; use the dtype 'float32'")
        self._network = network
        self._entries = [_PackedEntry(network.entry(index)) for index in range(network.channels)]
        self._joint = []
        for block in network.joint_blocks:
            assert isinstance(block, JointBlock)
            parts = (block.latent_block, block.clip_block, block.text_block)
            self._joint.append(tuple(_taken(part, release) for part in parts))
        self._single = [
            [_taken(block, release) for block in network.channel_blocks(index)]
            for index in range(network.channels)
        ]

    @torch.inference_mode()
    def __call__(self, x: Tensor, t: Tensor, conditions: FlowConditions) -> Tensor:
        """Velocities at x (B, N, L, latent_dim) or, of MMAudio, (B, L, latent_dim); see the networks' own."""
        network = self._network
        state = x if x.ndim == 4 else x[:, None]
        state = state.float()
        global_condition = network.global_condition(conditions, t)
        latents = self._joint_states(state, conditions, global_condition)
        rotation = _table(network.rotations(state.shape[2], 1, x.device)[0])
        velocities = []
        for index, latent in enumerate(latents):
            groups = conditions.frame_groups(network.spatial_channel(index))
            condition = network.channel_condition(index, conditions, global_condition, groups)
            excited = functional.silu(condition).to(_DTYPE)
            for block in self._single[index]:
                latent = block.alone(latent, Modulation(block.table(excited), groups.of_frame), rotation)
            last, own_condition = network.final(index)
            known = (
                condition[groups.of_frame].unflatten(0, latent.shape[:2])
                if own_condition
                else global_condition
            )
            velocities.append(_finish(last, latent, known))
        made = torch.stack(velocities, dim=1)
        return (made if x.ndim == 4 else made[:, 0]).to(x.dtype)

    def _joint_states(self, x: Tensor, conditions: FlowConditions, global_condition: Tensor) -> list[Tensor]:
        network = self._network
        latents = [entry(x[:, index]) for index, entry in enumerate(self._entries)]
        clip, text = network.joint_tokens(conditions)
        # Copies: the blocks change them in place.
        clip, text = (tokens.to(torch.float32, copy=True).contiguous() for tokens in (clip, text))
        groups = conditions.frame_groups(None)
        frame_condition = (global_condition[groups.clip, 0] + groups.sync).float()
        excited = functional.silu(frame_condition).to(_DTYPE)
        excited_globally = functional.silu(global_condition[:, 0].float()).to(_DTYPE)
        rotations = [_table(r) for r in network.rotations(x.shape[2], clip.shape[1], x.device)]
        clips = torch.arange(len(x))
        for streams in self._joint:
            latent_block, clip_block, text_block = streams
            modulations = (
                Modulation(latent_block.table(excited), groups.of_frame),
                Modulation(clip_block.table(excited_globally), clips.repeat_interleave(clip.shape[1])),
                Modulation(text_block.table(excited_globally), clips.repeat_interleave(text.shape[1])),
            )
            latents, clip, text = self._joint_step(streams, modulations, latents, clip, text, rotations)
        return latents

    def _joint_step(
        self,
        blocks: tuple[PackedStream, ...],
        modulations: tuple[Modulation, ...],
        latents: list[Tensor],
        clip: Tensor,
        text: Tensor,
        rotations: list[Rotation],
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """One joint block for every channel in turn; see `VisaudioNetwork`."""
        latent_block, clip_block, text_block = blocks
        sequential = self._network.tokens_carry_over
        updated: list[Tensor] = []
        following: tuple[Tensor, Tensor] | None = None
        answers: list[Tensor] | None = None
        for latent in latents:
            asked = latent_block.before(latent, modulations[0], rotations[0])
            if answers is None:
                answers = [
                    clip_block.before(clip, modulations[1], rotations[1]),
                    text_block.before(text, modulations[2], None),
                ]
            last = clip_block.attention_only
            attended = _attend([asked, *answers], latent_block.heads, latent.shape[1] if last else None)
            updated.append(latent_block.after(latent, attended[0], modulations[0]))
            if last or (following is not None and not sequential):
                continue
            if not sequential:
                clip_in, text_in = clip.clone(), text.clone()
            else:
                clip_in, text_in = clip, text
                answers = None
            following = (
                clip_block.after(clip_in, attended[1], modulations[1]),
                text_block.after(text_in, attended[2], modulations[2]),
            )
        clip, text = following or (clip, text)
        return updated, clip, text


def pack_network(network: FlowTrunk) -> bool:
    """Let a network compute its velocities by `PackedFlow` from now on, if this machine and its sizes allow it.

    The weights of its blocks are dropped, so that it cannot be saved or trained any more. What is left becomes
    float32, except the layers over patches, which are run once per clip.

    Returns:
        Whether it is packed; if not, it is unchanged.
    """
    if packing_refused(network) is not None:
        return False
    network.packed = PackedFlow(network, release=True)
    network.float()
    spacetime = getattr(network, "spacetime", None)
    if spacetime is not None:
        spacetime.bfloat16()
        spacetime.unions.float()
    return True


def packing_refused(network: FlowTrunk) -> str | None:
    """Why a network cannot be packed, or None if it can."""
    if network.clip_cond_proj.weight.device.type != "cpu":
        return f"it is on {network.clip_cond_proj.weight.device.type}, and packing is for a CPU"
    if not rows_code.fits(network.sizes.hidden_dim, network.sizes.num_heads, turned=True):
        width = network.sizes.head_dim
        return f"its heads are {width} wide, and only multiples of 32 up to 80 fit the vectors of a CPU"
    return rows_code.unavailable_reason() or unavailable_reason(_DTYPE)


def _attend(streams: list[Tensor], heads: int, queries: int | None) -> tuple[Tensor, ...]:
    """Attention among the tokens of all streams (B, L, 3 dim); of each clip only the first `queries` ask."""
    joined = streams[0] if len(streams) == 1 else torch.cat(streams, dim=1)
    clips, tokens, width = joined.shape
    out = joined.new_empty(clips, tokens, width // 3)
    groups = rows_code.Groups.clips(clips, tokens, queries)
    rows_code.attend(joined.flatten(0, 1), heads, groups, out.flatten(0, 1))
    return out.split([stream.shape[1] for stream in streams], dim=1)


def _finish(last: FinalLayer, latent: Tensor, condition: Tensor) -> Tensor:
    weight = last.conv.weight
    velocity: Tensor = last(latent.to(weight.dtype), condition.to(weight.dtype))
    return velocity.float()


def _taken(block: torch.nn.Module, release: bool) -> PackedStream:
    assert isinstance(block, StreamBlock)
    packed = PackedStream(block)
    if release:
        for name, parameter in block.named_parameters():
            owner = block.get_submodule(name.rpartition(".")[0])
            nothing = torch.empty(0, dtype=parameter.dtype)
            setattr(owner, name.rpartition(".")[2], torch.nn.Parameter(nothing, requires_grad=False))
    return packed


class _PackedEntry:
    """Noisy latents (B, L, latent_dim) -> (B, L, dim), float32."""

    def __init__(self, entry: torch.nn.Sequential) -> None:
        first, self._activation, fed = entry
        assert isinstance(first, FrameConv1d)
        assert isinstance(fed, GatedFeedForward)
        self._first, self._ffn = first, _packed_feed_forward(fed)

    def __call__(self, x: Tensor) -> Tensor:
        entered = self._activation(self._first(x.to(self._first.weight.dtype)))
        return self._ffn(entered.to(_DTYPE).contiguous()).float()


def _packed(layer: torch.nn.Module, activation: Activation = "none") -> PackedFrames:
    assert isinstance(layer, torch.nn.Linear | FrameConv1d)
    return PackedFrames(layer.weight, layer.bias, _DTYPE, activation)


def _packed_feed_forward(layer: GatedFeedForward) -> PackedFeedForward:
    parts = (_packed(layer.w1, "swish"), _packed(layer.w2), _packed(layer.w3))
    return PackedFeedForward(*parts)


def _packed_qkv(layer: AttentionProjection) -> PackedFrames:
    """Rows (head, channel, {q, k, v}) to ({q, k, v}, head, channel), pairs of queries and keys taken apart."""

    def ordered(rows: Tensor) -> Tensor:
        query, key, value = rows.unflatten(0, (layer.heads, -1, 3)).unbind(2)  # each (heads, width, ...)
        return torch.stack([_pairs_apart(query, 1), _pairs_apart(key, 1), value]).flatten(0, 2)

    return PackedFrames(ordered(layer.qkv.weight), ordered(layer.qkv.bias), _DTYPE)


def _pairs_apart(values: Tensor, dim: int = 0) -> Tensor:
    """First the even entries along an axis, then the odd."""
    even, odd = values.unflatten(dim, (-1, 2)).unbind(dim + 1)
    return torch.cat([even, odd], dim=dim).contiguous()


def _table(rotation: Rotation) -> Rotation:
    return Rotation(rotation.cosine.contiguous(), rotation.sine.contiguous())
