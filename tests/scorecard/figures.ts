/** What the scorecard measures, and its target. */

export interface Figure {
  name: string;
  measured: number;
  max?: number;
  min?: number;
  unit?: string;
  details?: string[];
}

/** A figure that counts what went wrong: its target is 0. */
export function countOf(name: string, wrong: string[]): Figure {
  return { name, measured: wrong.length, max: 0, details: [...new Set(wrong)] };
}

export function isMet({ measured, max = Infinity, min = -Infinity }: Figure): boolean {
  return measured <= max && measured >= min;
}

/** The table, with its header. */
export function rowsOf(figures: Figure[]): string[][] {
  const rows = figures.map((figure) => {
    const { name, measured, max = 0, min, unit = '' } = figure;
    const digits = unit === 's' ? 2 : unit === '%' ? 1 : 0;
    const inUnit = (value: number) => `${Number(value.toFixed(digits))} ${unit}`.trim();
    const target = min === undefined ? (max === 0 ? '0' : `≤ ${inUnit(max)}`) : `≥ ${inUnit(min)}`;
    return [name, target, inUnit(measured), isMet(figure) ? 'met' : 'missed'];
  });
  return [['', 'target', 'measured', ''], ...rows];
}
