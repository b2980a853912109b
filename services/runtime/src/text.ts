import type { ProblemDetails } from './handlers.ts';

type Places = NonNullable<ProblemDetails['errors']>;

/** Deeper than any body of a contract; a walk this deep is safe. */
const depthMax = 64;

/**
 * The places in a JSON value that cannot be stored as they are: NUL, which PostgreSQL's text cannot hold, and surrogates
 * without a partner, which are no characters (I-JSON, RFC 7493 §2.1) and would be stored as U+FFFD.
 */
export function unstorable(value: unknown, pointer: string, depth = 0): Places {
  if (typeof value === 'string') return unstorableText(value, pointer);
  if (typeof value !== 'object' || value === null) return [];
  if (depth === depthMax) return [{ pointer, detail: `is nested deeper than ${depthMax} levels`, code: 'depth' }];
  return Object.entries(value).flatMap(([key, each]) => {
    const place = `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    return [...unstorableText(key, place), ...unstorable(each, place, depth + 1)];
  });
}

function unstorableText(text: string, pointer: string): Places {
  if (text.includes('\0')) return [{ pointer, detail: 'must not hold the character NUL', code: 'nul' }];
  if (!text.isWellFormed()) return [{ pointer, detail: 'must not hold half of a surrogate pair', code: 'surrogate' }];
  return [];
}
