/** Pages by cursor: a page begins after the last item of the one before, so it costs the same wherever it begins. */
import { validate } from 'uuid';
import { InvalidRequest } from './problems.ts';

export interface Page<Item> {
  items: Item[];
  nextCursor: string | null;
}

/**
 * Makes a page of `limit` items out of the rows found, of which one more than `limit` was asked for: if it is there,
 * another page follows. `list` names the list that the cursor is good for.
 */
export function toPage<Item extends { id: string }>(list: string, rows: Item[], limit: number): Page<Item> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: last && rows.length > limit ? encode([list, last.id]) : null };
}

/**
 * The id that the page begins after, or null for the first page.
 *
 * @throws {InvalidRequest} when the cursor is not one that this list gave.
 */
export function readCursor(list: string, cursor: string | undefined): string | null {
  if (cursor === undefined) return null;
  const [from, id] = decode(cursor);
  if (from !== list || !validate(id)) {
    throw new InvalidRequest([
      { pointer: '/query/cursor', detail: 'must be a `nextCursor` of this list', code: 'cursor' },
    ]);
  }
  return id as string;
}

function encode(parts: string[]): string {
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
