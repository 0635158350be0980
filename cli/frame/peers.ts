/**
 * Other frameworks, fetched only to be compared with: they are in neither deno.json nor deno.lock.
 */

import { type Jax, startJax } from "../../src/bench/peers/jax/jax.ts";
import { startTensorFlow, type TensorFlow } from "../../src/bench/peers/tensorflow/tensorflow.ts";
import type { Peers } from "../../src/bench/peers/contests.ts";
import { UserError } from "../../src/errors.ts";
import { loadUmd, packageDirectory } from "../../src/platform/npm.ts";

const JAX = "npm:@jax-js/jax@0.1.25";
const TENSORFLOW = "npm:@tensorflow/tfjs-core@4.22.0";
const TENSORFLOW_WEBGPU = "npm:@tensorflow/tfjs-backend-webgpu@4.22.0";

/**
 * Fetches and starts the peers.
 *
 * @throws {UserError} if a package is not here and cannot be fetched
 */
export async function loadPeers(): Promise<Peers> {
  const directory = async (specifier: string) => {
    try {
      return await packageDirectory(specifier);
    } catch (error) {
      throw new UserError(`--peers needs other frameworks: ${(error as Error).message}`);
    }
  };
  const jax: Jax = await import(`file://${await directory(JAX)}/dist/index.js`);
  const core = await loadUmd(`${await directory(TENSORFLOW)}/dist/tf-core.min.js`);
  const backend = `${await directory(TENSORFLOW_WEBGPU)}/dist/tf-backend-webgpu.min.js`;
  await loadUmd(backend, { "@tensorflow/tfjs-core": core });
  return {
    jax: await startJax(jax),
    tensorFlow: await startTensorFlow(core as unknown as TensorFlow),
  };
}
