/** What the tests of the manifests share. */
import { readFileSync } from 'node:fs';
import { expect } from '@jest/globals';

export const root = new URL('../../', import.meta.url);

/** Expects a part of a manifest to be so; when it is not, begins the message with what to do. */
export function hold(advice: string, actual: unknown, expected: unknown): void {
  try {
    expect(actual).toEqual(expected);
  } catch (error) {
    throw new Error(`${advice}\n\n${(error as Error).message}`, { cause: error });
  }
}

/** A file of the repository, by its path from the root. */
export function read(path: string): string {
  return readFileSync(new URL(path, root), 'utf8');
}

/** The one item of a list. Throws when there is none, or more. */
export function only<Item>(items: Item[]): Item {
  const [item] = items;
  if (item === undefined || items.length > 1)
    throw new Error(`expected one of these, found ${items.length}: ${JSON.stringify(items)}`);
  return item;
}
