/**
 * Operands that an op may have or not. They stand behind those that it always has, and its attributes say which
 * there are.
 */

import type { Tensor } from "../tensor.ts";

/** What attributes say of them. */
export interface OptionalNames<Name extends string> {
  /** The names of the last operands, in order. */
  readonly optional: readonly Name[];
}

/** Those of some operands that there are, and their names for the op's attributes. */
export function optionalInputs<Name extends string>(
  operands: Readonly<Record<Name, Tensor | undefined>>,
): OptionalNames<Name> & { readonly tensors: readonly Tensor[] } {
  const given = (Object.entries(operands) as [Name, Tensor | undefined][])
    .filter((entry): entry is [Name, Tensor] => entry[1] !== undefined);
  return { optional: given.map(([name]) => name), tensors: given.map(([, tensor]) => tensor) };
}

/** The last operands of an op by their names. */
export function optionalOperands<Name extends string>(
  inputs: readonly Tensor[],
  { optional }: OptionalNames<Name>,
): Partial<Record<Name, Tensor>> {
  const first = inputs.length - optional.length;
  return Object.fromEntries(optional.map((name, i) => [name, inputs[first + i]])) as Partial<
    Record<Name, Tensor>
  >;
}
