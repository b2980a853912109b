/** Shared by the manifest tests. */
import { readFileSync } from 'node:fs';
import { expect } from '@jest/globals';

export const root = new URL('../../', import.meta.url);

/** Expects `actual` to equal `expected`; the failure message starts with the advice. */
export function expectWithAdvice(advice: string, actual: unknown, expected: unknown): void {
  try {
    expect(actual).toEqual(expected);
  } catch (error) {
    throw new Error(`${advice}\n\n${(error as Error).message}`, { cause: error });
  }
}

/** Reads a file by its path from the repository root. */
export function read(path: string): string {
  return readFileSync(new URL(path, root), 'utf8');
}

/** The only item of a list. Throws when the list has no item or several. */
export function only<Item>(items: Item[]): Item {
  const [item] = items;
  if (item === undefined || items.length > 1)
    throw new Error(`expected exactly one item, found ${items.length}: ${JSON.stringify(items)}`);
  return item;
}
