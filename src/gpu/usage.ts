/**
 * Buffer usages, spelt out as numbers because not every WebGPU runtime defines the global constants.
 */

const COPY_SRC = 4;
const COPY_DST = 8;

/** Storage that can also be copied from and to. */
export const STORAGE = 128 | COPY_SRC | COPY_DST;

/** Uniform data, written by the host. */
export const UNIFORM = 64 | COPY_DST;

/** Memory that the host can map for reading. */
export const READBACK = 1 | COPY_DST;

/** Where timestamps are resolved to. */
export const QUERY_RESOLVE = 512 | COPY_SRC;
