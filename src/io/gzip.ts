/**
 * Gzip files (RFC 1952), unpacked as they are read.
 *
 * Invariant: a file of several members is what they hold, one after another; every member's checksum is
 * held against its content. The platform's `DecompressionStream` ends at the first member.
 */

import {
  Z_BUF_ERROR,
  Z_OK,
  Z_STREAM_END,
  zlibInflate,
  zlibInflateInit2,
  zlibInflateReset,
  ZStream,
} from "pako";

/** Why bytes are no gzip file. */
export class GzipError extends Error {
  override name = "GzipError";
}

/** A window of 32 KiB (15 bits), and gzip's header and trailer (16). */
const GZIP_WINDOW = 15 + 16;

/** Bytes that are unpacked at a time. */
const PIECE = 1 << 17;

/**
 * Unpacks what is written to it. Zeros after a member fill up a tape's block and are passed over, as by gzip.
 *
 * @throws {GzipError} (from the stream) for bytes that are none of gzip, and where they end too early
 */
export function gunzip(): TransformStream<
  Uint8Array<ArrayBuffer>,
  Uint8Array<ArrayBuffer>
> {
  const stream = new ZStream();
  zlibInflateInit2(stream, GZIP_WINDOW);
  let members = 0, between = true;
  return new TransformStream({
    transform(bytes, controller) {
      Object.assign(stream, { input: bytes, next_in: 0, avail_in: bytes.length });
      while (true) {
        if (between) {
          while (members > 0 && stream.avail_in > 0 && bytes[stream.next_in] === 0) {
            stream.next_in++;
            stream.avail_in--;
          }
          if (stream.avail_in === 0) return;
          zlibInflateReset(stream);
          between = false;
        }
        const output = new Uint8Array(PIECE);
        Object.assign(stream, { output, next_out: 0, avail_out: PIECE });
        const status = zlibInflate(stream, 0);
        if (stream.next_out > 0) controller.enqueue(output.subarray(0, stream.next_out));
        if (status === Z_STREAM_END) {
          members++;
          between = true;
        } else if (status !== Z_OK && status !== Z_BUF_ERROR) {
          const isHeader = members > 0 && stream.total_out === 0;
          throw new GzipError(
            isHeader
              ? "other bytes follow the packed ones"
              : `its bytes are damaged (${stream.msg})`,
          );
        } else if (stream.avail_out > 0) return;
      }
    },
    flush() {
      if (!between || members === 0) throw new GzipError("it ends too early");
    },
  });
}
