/** Pages by cursor: a page begins after the last item of the one before, so it costs the same wherever it begins. */
import { createHash } from 'node:crypto';
import stringify from 'safe-stable-stringify';
import { validate } from 'uuid';
import { InvalidRequest } from '../http/problems.ts';

export interface Page<Item> {
  items: Item[];
  nextCursor: string | null;
}

/** A place in a list: the last item before it, by what the list is sorted by and, where that is equal, by id. */
export interface Place {
  /** Null for an item that has none, and in a list that is sorted by id alone. */
  key: string | null;
  id: string;
}

/**
 * Makes a page of `limit` items out of the rows found, of which one more than `limit` was asked for: if it is there,
 * another page follows. `list` is all that tells the list from others: its name, filters and sort.
 */
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
    nextCursor: last && rows.length > limit ? encode([nameOf(list), last.id, keyOf(last)]) : null,
  };
}

/**
 * Where the page begins, or undefined for the first page. `isKey` says whether the list can have such a key.
 *
 * @throws {InvalidRequest} when the cursor is not one that this list gave.
 */
export function readCursor(
  list: unknown,
  cursor: string | undefined,
  isKey: (key: string | null) => boolean = (key) => key === null,
): Place | undefined {
  if (cursor === undefined) return undefined;
  const [from, id, key] = decode(cursor);
  if (from !== nameOf(list) || !validate(id) || (key !== null && typeof key !== 'string') || !isKey(key)) {
    const detail = 'must be a `nextCursor` of this list, asked with the same filters and sort';
    throw new InvalidRequest([{ pointer: '/query/cursor', detail, code: 'cursor' }]);
  }
  return { key, id: id as string };
}

/** Filters may be long, a cursor must not be. */
function nameOf(list: unknown): string {
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
