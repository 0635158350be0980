/**
 * Sets environment variables for tests.
 *
 * @param variables their values; `undefined` for those that must not be set
 * @returns puts them back as they were
 */
export function setEnvironment(
  variables: Readonly<Record<string, string | undefined>>,
): () => void {
  const before = Object.keys(variables).map((name) => [name, Deno.env.get(name)] as const);
  set(Object.entries(variables));
  return () => set(before);
}

function set(variables: readonly (readonly [name: string, value: string | undefined])[]): void {
  for (const [name, value] of variables) {
    if (value === undefined) Deno.env.delete(name);
    else Deno.env.set(name, value);
  }
}
