/** Names that an object has twice (RFC 7493 §2.3): of their values, `JSON.parse` keeps only the last. */
import { escapeName } from './problems.ts';

/** The JSON Pointer of the first name that its object already has, in the text of this value. */
export function findDuplicateName(text: string, value: unknown): string | undefined {
  // Each name of the value has a colon in the text. Only a text with more of them needs a scan.
  let at = -1;
  for (let names = countNames(value); names > 0; names--) at = text.indexOf(':', at + 1);
  return text.includes(':', at + 1) ? scan(text) : undefined;
}

function countNames(root: unknown): number {
  let names = 0;
  // Not recursive: a body of 1 MB may have 500,000 levels.
  const open = [root];
  while (open.length > 0) {
    const value = open.pop();
    if (Array.isArray(value)) {
      for (const each of value) open.push(each);
    } else if (typeof value === 'object' && value !== null) {
      for (const name in value) {
        names += 1;
        open.push((value as Record<string, unknown>)[name]);
      }
    }
  }
  return names;
}

interface Container {
  names: Set<string> | undefined;
  place: string | number;
}

function scan(text: string): string | undefined {
  const outer: Container[] = [];
  let inner: Container = { names: undefined, place: '' };
  let isName = false;
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '{':
      case '[':
        outer.push(inner);
        isName = text[at] === '{';
        inner = { names: isName ? new Set() : undefined, place: 0 };
        break;
      case '}':
      case ']':
        inner = outer.pop() as Container;
        break;
      case ',':
        isName = inner.names !== undefined;
        if (!isName) inner.place = Number(inner.place) + 1;
        break;
      case '"': {
        const end = endOfString(text, at);
        if (isName) {
          const name = JSON.parse(text.slice(at, end + 1)) as string;
          inner.place = name;
          if (inner.names?.has(name)) return pointerTo([...outer.slice(1), inner]);
          inner.names?.add(name);
          isName = false;
        }
        at = end;
      }
    }
  }
  return undefined;
}

function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === '\\') backslashes += 1;
  return backslashes % 2 === 1;
}

function pointerTo(containers: Container[]): string {
  return containers.map(({ place }) => `/${escapeName(String(place))}`).join('');
}
