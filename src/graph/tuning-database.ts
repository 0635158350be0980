/**
 * Kernel choices of a page, in its IndexedDB.
 */

import type { Gpu } from "../gpu/device.ts";
import type { Choices, TuningStore } from "./tuning.ts";

const DATABASE = "hyperdecoder", STORE = "tuning";

/**
 * The choices for this adapter among those that the page's origin keeps.
 *
 * @param version of the page's build: with another one everything is measured anew
 */
export function tuningDatabase({ adapterName }: Gpu, version: string): TuningStore {
  const key = `${adapterName} ${version}`;
  return {
    async read() {
      return await transact("readonly", (store) => store.get(key)) as Choices | undefined ?? {};
    },
    async write(choices) {
      await transact("readwrite", (store) => store.put(choices, key));
    },
  };
}

async function transact(
  mode: IDBTransactionMode,
  use: (store: IDBObjectStore) => IDBRequest,
): Promise<unknown> {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = await answer(opening);
  try {
    return await answer(use(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
