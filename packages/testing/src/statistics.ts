/** Statistics of measured numbers. */

export function mean(numbers: number[]): number {
  return sum(numbers) / numbers.length;
}

export function sum(numbers: number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** `share` is 0.5 for the median, 0.99 for p99, 1 for the maximum. NaN of no numbers. */
export function quantile(numbers: number[], share: number): number {
  const sorted = Float64Array.from(numbers).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}
