/** Conditional requests (RFC 9110 §13): what an `ETag` is made of, and what `If-Match` and `If-None-Match` ask. */
import { createHash } from 'node:crypto';

/** The `ETag` of an answer: made of the `version` of what has one, else of all that the body says, which is `json`. */
export function etagOf({ version }: { version?: number }, json: string): string {
  if (version !== undefined) return `"${version}"`;
  return `"${createHash('sha1').update(json).digest('base64url')}"`;
}

/** Whether the client has it already: `If-None-Match` names its `ETag`, by the weak comparison (§13.1.2). */
export function isNamed(ifNoneMatch: string | undefined, etag: string | undefined): boolean {
  if (ifNoneMatch === undefined || etag === undefined) return false;
  return ifNoneMatch.trim() === '*' || tagsIn(ifNoneMatch).some(({ tag }) => `"${tag}"` === etag);
}

/**
 * The versions that `If-Match` lets be changed, for a statement to compare with; null is any. By the strong comparison
 * (§13.1.1) a weak one fits nothing.
 */
export function versionsIn(ifMatch: string | undefined): string[] | null {
  if (ifMatch === undefined || ifMatch === '*') return null;
  return tagsIn(ifMatch).flatMap(({ weak, tag }) => (weak ? [] : [tag]));
}

/**
 * Why a statement with these versions missed what was there (`found`) when it began: it has another version or, where any
 * would do, somebody deleted it meanwhile.
 */
export function missed(found: boolean | undefined, versions: string[] | null): 'stale' | 'not found' {
  return found && versions ? 'stale' : 'not found';
}

function tagsIn(header: string): { weak: boolean; tag: string }[] {
  return [...header.matchAll(/(W\/)?"([^"]*)"/g)].map(([, weak, tag = '']) => ({ weak: weak !== undefined, tag }));
}
