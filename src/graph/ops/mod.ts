/** All ops, as the functions that models are written with. */

export { accumulate } from "./accumulate.ts";
export { adamW, adamWHyper, type AdamWSettings } from "./adamw.ts";
export { adapter, type AdapterParameters } from "./adapter.ts";
export { activate, activationGate, type ActivationKind } from "./activation.ts";
export { add } from "./add.ts";
export { addBias } from "./add-bias.ts";
export { advance } from "./advance.ts";
export { argmax } from "./argmax.ts";
export { adjustedScores, type AdjustedScoresOptions } from "./adjusted-scores.ts";
export { assign } from "./assign.ts";
export {
  type AttentionOptions,
  crossAttention,
  type RelativePositions,
  selfAttention,
} from "./attention.ts";
export { bannedTokens, type BannedTokensOptions } from "./banned-tokens.ts";
export { type BeamRule, type BeamState, beamStep, type BeamStepOptions } from "./beam-step.ts";
export { broadcastRows } from "./broadcast-rows.ts";
export { concat } from "./concat.ts";
export { crossAttentionStep, type CrossAttentionStepOptions } from "./cross-attention-step.ts";
export type { DecodingOptions, DecodingState } from "./decoding-state.ts";
export { dropout, dropoutAdd } from "./dropout.ts";
export { embedding } from "./embedding.ts";
export { fill, ones } from "./fill.ts";
export { geluGate } from "./gelu-gate.ts";
export { globalNorm } from "./global-norm.ts";
export { greedyStep } from "./greedy-step.ts";
export { labelSmoothedLoss } from "./label-smoothed-loss.ts";
export { maskedMean } from "./masked-mean.ts";
export { linear, matmul, type MatmulOptions } from "./matmul.ts";
export { pairRows } from "./pair-rows.ts";
export { relu } from "./relu.ts";
export { reshape } from "./reshape.ts";
export { rmsNorm } from "./rms-norm.ts";
export { sampleStep, type SampleStepOptions } from "./sample-step.ts";
export { scale } from "./scale.ts";
export {
  type KeyValues,
  selfAttentionStep,
  type SelfAttentionStepOptions,
} from "./self-attention-step.ts";
export { split } from "./split.ts";
export { stepLinear, type StepLinearOptions } from "./step-linear.ts";
export { sumRows } from "./sum-rows.ts";
export { tokenAt } from "./token-at.ts";
export { window } from "./window.ts";
