/** Keyset pagination: a page starts after the last item of the one before, so that every page costs the same. */
import { createHash } from 'node:crypto';
import stringify from 'safe-stable-stringify';
import { validate } from 'uuid';
import { InvalidRequest } from '../errors.ts';

export interface Page<Item> {
  items: Item[];
  nextCursor: string | null;
}

/** A position in a list: the sort key of the last item before it and, for equal keys, its id. */
export interface Position {
  key: string | null;
  id: string;
}

/** Makes a page of rows queried with `limit + 1`. `list` identifies the list: its name, filters and sort. */
export function toPage<Item extends { id: string }>(
  list: unknown,
  rows: Item[],
  limit: number,
  keyOf: (item: Item) => string | null = () => null,
): Page<Item> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return {
    items,
    nextCursor: last && rows.length > limit ? encode([hashOf(list), last.id, keyOf(last)]) : null,
  };
}

/** The position of a cursor; undefined for the first page. Throws InvalidRequest for a cursor of another list. */
export function readCursor(
  list: unknown,
  cursor: string | undefined,
  isKey: (key: string | null) => boolean = (key) => key === null,
): Position | undefined {
  if (cursor === undefined) return undefined;
  const [hash, id, key] = decode(cursor);
  if (hash !== hashOf(list) || !validate(id) || (key !== null && typeof key !== 'string') || !isKey(key)) {
    const detail = 'must be a `nextCursor` of this list with the same filters and sort';
    throw new InvalidRequest([{ pointer: '/query/cursor', detail, code: 'cursor' }]);
  }
  return { key, id: id as string };
}

function hashOf(list: unknown): string {
  return createHash('sha256')
    .update(stringify(list) ?? '')
    .digest('base64url')
    .slice(0, 12);
}

function encode(parts: unknown[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url');
}

function decode(cursor: string): unknown[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    return Array.isArray(parts) ? parts : [];
  } catch {
    return [];
  }
}
