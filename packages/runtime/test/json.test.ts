/** Proves that a duplicate name is found in any JSON text, and in linear time. */
import { describe, expect, it } from '@jest/globals';
import { findDuplicateName } from '@task-manager/runtime/http/json';
import fc from 'fast-check';

const find = (text: string) => findDuplicateName(text, JSON.parse(text));

/** A value, and the pointer of the first duplicate name in its text. */
interface Sample {
  text: string;
  duplicate: string | undefined;
}

/** An object whose names may repeat, each written with or without an escape. */
const samples = fc.letrec<{ value: Sample; object: Sample; array: Sample }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc
      .constantFrom('1', 'null', '"a:b"', '"\\"x\\\\"', '"{,[:"', '{}', '[]', '""')
      .map((text) => ({ text, duplicate: undefined })),
    tie('object'),
    tie('array'),
  ),
  object: fc
    .array(fc.tuple(fc.constantFrom(...['a', 'b/', '~', ':', '"', '', '__proto__']), fc.boolean(), tie('value')), {
      maxLength: 4,
    })
    .map((members) => {
      const names = members.map(([name]) => name);
      const duplicates = members.flatMap(([name, , { duplicate }], index) => {
        const pointer = `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
        if (names.indexOf(name) < index) return [pointer];
        return duplicate === undefined ? [] : [pointer + duplicate];
      });
      const written = members.map(
        ([name, isEscaped, { text }]) => `${isEscaped ? escape(name) : JSON.stringify(name)} :${text}`,
      );
      return { text: `{ ${written.join(', ')} }`, duplicate: duplicates[0] };
    }),
  array: fc.array(tie('value'), { maxLength: 3 }).map((items) => ({
    text: `[${items.map(({ text }) => text).join(',\n')}]`,
    duplicate: items.flatMap(({ duplicate }, index) => (duplicate === undefined ? [] : [`/${index}${duplicate}`]))[0],
  })),
}));

function escape(name: string): string {
  return `"${name.replace(/[^]/g, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`;
}

describe('findDuplicateName', () => {
  it('returns the pointer of the first duplicate name in random JSON', () => {
    const seen = { with: 0, without: 0 };
    fc.assert(
      fc.property(samples.value, ({ text, duplicate }) => {
        seen[duplicate === undefined ? 'without' : 'with'] += 1;
        expect(find(text)).toBe(duplicate);
      }),
      { numRuns: 3000 },
    );
    expect(Math.min(seen.with, seen.without)).toBeGreaterThan(100);
  });

  it('handles 1 MB of nesting, escapes and duplicates', () => {
    expect(find('['.repeat(500_000) + ']'.repeat(500_000))).toBeUndefined();
    expect(find(`{"a":${'['.repeat(500_000)}${']'.repeat(500_000)},"a":1}`)).toBe('/a');
    expect(find(`${'{"a":'.repeat(150_000)}{"b":1,"b":2}${'}'.repeat(150_000)}`)).toBe(`${'/a'.repeat(150_000)}/b`);
    expect(find(`{"a":"${'\\"\\\\'.repeat(250_000)}:"}`)).toBeUndefined();
  });
});
