/** Prints which GPU the tests run on, having fetched a driver if there is none. */
import { describe } from "../src/gpu/device.ts";
import { testDevice } from "./graph/device.ts";

try {
  console.log(`GPU: ${describe(await testDevice())}\n`);
} catch (error) {
  // Many tests need none; those that do say so again.
  console.log(`GPU: none. ${error instanceof Error ? error.message : error}\n`);
}
Deno.exit(0);
