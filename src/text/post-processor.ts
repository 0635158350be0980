/**
 * Post-processors of a `tokenizer.json`: the ids that are put around a text's own, `</s>` after it in every
 * T5, `<s>` before it in some.
 */

import { type Component, unsupported } from "./tokenizer-json.ts";

/** Ids before a text's own, and after them. */
export interface Frame {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/**
 * What the post-processor that a file describes puts around one text.
 *
 * @throws {UserError} when it is one that is not done here
 */
export function createFrame(json: Component | null): Frame {
  if (json === null) return { before: [], after: [] };
  switch (json.type) {
    case "ByteLevel":
      return { before: [], after: [] };
    case "RobertaProcessing":
    case "BertProcessing": {
      const [, cls] = json.cls as [string, number];
      const [, sep] = json.sep as [string, number];
      return { before: [cls], after: [sep] };
    }
    case "TemplateProcessing":
      return template(json);
    case "Sequence": {
      const frames = (json.processors as Component[]).map(createFrame);
      return {
        before: frames.toReversed().flatMap(({ before }) => before),
        after: frames.flatMap(({ after }) => after),
      };
    }
    default:
      throw unsupported("post-processor", json.type);
  }
}

function template(json: Component): Frame {
  const parts = json.single as { SpecialToken?: { id: string }; Sequence?: { id: string } }[];
  const special = json.special_tokens as Record<string, { ids: number[] }>;
  const at = parts.findIndex(({ Sequence }) => Sequence);
  if (at < 0 || parts.filter(({ Sequence }) => Sequence).length > 1) {
    throw unsupported("post-processor", `template ${JSON.stringify(json.single)}`);
  }
  const idsOf = (some: typeof parts) =>
    some.flatMap(({ SpecialToken }) => special[SpecialToken!.id].ids);
  return { before: idsOf(parts.slice(0, at)), after: idsOf(parts.slice(at + 1)) };
}
