/** Correlations, in percent. Both are 0 where they are not defined: a constant side, or no number. */

/** Pearson's linear correlation. */
export function pearson(predictions: readonly number[], targets: readonly number[]): number {
  const x = centred(predictions);
  const y = centred(targets);
  const value = dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
  return Number.isFinite(value) ? 100 * Math.max(-1, Math.min(1, value)) : 0;
}

/** Spearman's rank correlation; equal values share the mean of their ranks. */
export function spearman(predictions: readonly number[], targets: readonly number[]): number {
  if (predictions.some(Number.isNaN)) return 0;
  return pearson(ranks(predictions), ranks(targets));
}

/** The rank of each value, from 1. */
function ranks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) =>
    values[a] < values[b] ? -1 : Number(values[a] > values[b])
  );
  const result = new Array<number>(values.length);
  for (let start = 0, end; start < order.length; start = end) {
    end = start + 1;
    while (end < order.length && values[order[end]] === values[order[start]]) end++;
    for (let i = start; i < end; i++) result[order[i]] = (start + 1 + end) / 2;
  }
  return result;
}

function centred(values: readonly number[]): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.map((value) => value - mean);
}

function dot(x: readonly number[], y: readonly number[]): number {
  return x.reduce((sum, value, i) => sum + value * y[i], 0);
}
