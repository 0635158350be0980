/** A chain of products in jax-js. */

import type { Contender } from "../comparison.ts";
import type { ProductChain } from "../ours.ts";
import type { Jax } from "./jax.ts";

/** x · w · w · …, in one `jit`; the last product is read back. */
export function jaxProducts(
  { jit, numpy: np }: Jax,
  { side, length, x, w }: ProductChain,
): Contender {
  const first = np.array(x).reshape([side, side]), weight = np.array(w).reshape([side, side]);
  const product = jit(np.matmul);
  return {
    async run(count) {
      let values: ArrayLike<number> = [];
      for (let i = 0; i < count; i++) {
        let result = first.ref;
        for (let i = 0; i < length; i++) result = product(result, weight.ref);
        if (i < count - 1) result.dispose();
        else values = await result.data();
      }
      return [values];
    },
    destroy() {
      first.dispose();
      weight.dispose();
    },
  };
}
