/**
 * Loading a checkpoint, as every command does it: the header, a check of all tensors against the
 * configuration, then tensor by tensor from the file to the device.
 *
 * The file was just written, so it is read from the system's cache: what is measured is this project's
 * work, not the disk's.
 */

import type { ModelConfig } from "../../models/config.ts";
import { parameterInventory } from "../../models/inventory.ts";
import type { Gpu } from "../gpu/device.ts";
import { size } from "../graph/tensor.ts";
import { fromFloat32, openSafetensors, writeSafetensors } from "../io/safetensors.ts";
import type { ByteSource } from "../io/source.ts";
import { matchWeights, placeWeights } from "../train/weights.ts";
import { randomFloats } from "./inputs.ts";
import { type Spread, spread } from "./measure.ts";
import { small } from "./subjects.ts";

/** What loading takes. */
export interface LoadingResult {
  /** Of the file. */
  readonly bytes: number;
  readonly milliseconds: Spread;
  /** 10⁶ bytes of the file per second. */
  readonly megabytesPerSecond: number;
  /**
   * The most by which the process grew meanwhile. On a CPU adapter that includes the model on the device,
   * which is as large as the file.
   */
  readonly peakHostBytes: number;
}

/** The small T5 with more layers and wider ones, of about so many bytes. */
export function checkpointConfig(bytes: number): ModelConfig {
  const config = { ...small.config, modelDim: 512, headDim: 64, feedForwardDim: 1024 };
  const withLayers = (layers: number): ModelConfig => ({
    ...config,
    encoderLayers: layers,
    decoderLayers: layers,
  });
  const [one, two] = [1, 2].map((layers) => modelBytes(withLayers(layers)));
  return withLayers(Math.max(1, Math.round((bytes - one) / (two - one)) + 1));
}

/** A checkpoint of that configuration with random weights, as a file's bytes. */
export function randomCheckpoint(config: ModelConfig): Uint8Array {
  const inventory = parameterInventory(config);
  const longest = Math.max(...inventory.map(({ shape }) => size(shape)));
  const values = randomFloats("checkpoint", longest, 0.05);
  return writeSafetensors(
    new Map(
      inventory.map(({ name, shape }) => [
        name,
        fromFloat32(values.subarray(0, size(shape)), shape),
      ]),
    ),
  );
}

/**
 * Loads a checkpoint several times.
 *
 * @param open opens the file
 * @param residentBytes memory that the process occupies now
 */
export async function measureLoading(
  gpu: Gpu,
  config: ModelConfig,
  open: () => Promise<ByteSource>,
  residentBytes: () => number,
  samples: number,
): Promise<LoadingResult> {
  const times: number[] = [];
  let bytes = 0, peakHostBytes = 0;
  for (let i = 0; i <= samples; i++) {
    const before = residentBytes();
    const start = performance.now();
    const source = await open();
    bytes = source.size;
    const tensors = await openSafetensors(source);
    for (const [name, tensor] of tensors) {
      const read = async () => {
        const data = await tensor.read();
        peakHostBytes = Math.max(peakHostBytes, residentBytes() - before);
        return data;
      };
      tensors.set(name, { ...tensor, read });
    }
    const weights = matchWeights(config, [{ name: source.name, tensors }]);
    const parameters = await placeWeights(gpu, config, weights);
    // The first time pays for what drivers put off until then.
    if (i > 0) times.push(performance.now() - start);
    else peakHostBytes = 0;
    parameters.destroy();
  }
  const milliseconds = spread(times);
  return {
    bytes,
    milliseconds,
    megabytesPerSecond: bytes / milliseconds.median / 1000,
    peakHostBytes,
  };
}

function modelBytes(config: ModelConfig): number {
  return 4 * parameterInventory(config).reduce((sum, { shape }) => sum + size(shape), 0);
}
