/**
 * Metrics of classification, in percent. Predictions come from a generating model, so they may be
 * anything; how each metric treats what is not a class is said where it is defined.
 */

/** Share of predictions equal to their target. */
export function accuracy<T>(predictions: readonly T[], targets: readonly T[]): number {
  const correct = predictions.filter((prediction, i) => prediction === targets[i]).length;
  return 100 * correct / targets.length;
}

/**
 * F1 of class 1 among classes 0 and 1. A prediction that is neither counts as the wrong one of the
 * two, as in the GLUE evaluation of Raffel et al. 2020. 0 when class 1 is neither predicted nor meant.
 */
export function binaryF1(predictions: readonly number[], targets: readonly number[]): number {
  let correct = 0, predicted = 0, meant = 0;
  targets.forEach((target, i) => {
    const isClass = predictions[i] === 0 || predictions[i] === 1;
    const prediction = isClass ? predictions[i] : 1 - target;
    correct += Number(prediction === 1 && target === 1);
    predicted += Number(prediction === 1);
    meant += Number(target === 1);
  });
  return correct === 0 ? 0 : 100 * 2 * correct / (predicted + meant);
}

/**
 * Matthews's correlation for any number of classes (Gorodkin 2004). Anything predicted is a class of
 * its own. 0 when the predictions or the targets are all the same, also if all are right.
 */
export function matthews(predictions: readonly number[], targets: readonly number[]): number {
  const total = targets.length;
  const correct = predictions.filter((prediction, i) => prediction === targets[i]).length;
  const predicted = counts(predictions);
  const meant = counts(targets);
  let expected = 0;
  for (const [label, count] of predicted) expected += count * (meant.get(label) ?? 0);
  const spread = (labels: Map<number, number>) =>
    total ** 2 - [...labels.values()].reduce((sum, count) => sum + count ** 2, 0);
  const scale = Math.sqrt(spread(predicted) * spread(meant));
  return scale === 0 ? 0 : 100 * (correct * total - expected) / scale;
}

function counts(labels: readonly number[]): Map<number, number> {
  const result = new Map<number, number>();
  for (const label of labels) result.set(label, (result.get(label) ?? 0) + 1);
  return result;
}
