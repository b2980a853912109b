/** Conditional requests (RFC 9110 §13): `If-Match` and `If-None-Match`. */
import type { ProblemDetails } from '../contract/handlers.ts';

/** Whether `If-None-Match` names this `ETag`, by the weak comparison (§13.1.2). */
export function matchesEtag(ifNoneMatch: string, etag: string): boolean {
  return ifNoneMatch.trim() === '*' || tagsIn(ifNoneMatch).some(({ tag }) => `"${tag}"` === etag);
}

/** The versions that `If-Match` accepts, by the strong comparison (§13.1.1); null accepts any. */
export function versionsIn(ifMatch: string | undefined): string[] | null {
  if (ifMatch === undefined || ifMatch === '*') return null;
  return tagsIn(ifMatch).flatMap(({ weak, tag }) => (weak ? [] : [tag]));
}

export function preconditionFailed(ifMatch: string | undefined): { status: 412; problem: ProblemDetails } {
  const hasStrongTag = versionsIn(ifMatch)?.length !== 0;
  const problem = hasStrongTag ? stale : weak;
  return { status: 412, problem };
}

const stale = { detail: 'If-Match does not match the current version.' };
const weak = {
  type: 'weak-etag',
  detail: 'If-Match has only weak tags, which never match. Send the ETag without W/.',
};

/** Why a statement with these versions matched no row, though it was there (`found`) when the statement started. */
export function mismatch(found: boolean | undefined, versions: string[] | null): 'stale' | 'not found' {
  return found && versions ? 'stale' : 'not found';
}

function tagsIn(header: string): { weak: boolean; tag: string }[] {
  return [...header.matchAll(/(W\/)?"([^"]*)"/g)].map(([, weak, tag = '']) => ({ weak: weak !== undefined, tag }));
}
