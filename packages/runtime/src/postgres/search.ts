/** Search by words that do not depend on the locale of the server (decision 017). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Database } from './database.ts';

const scripts = ['Han', 'Hira', 'Kana', 'Thai', 'Laoo', 'Khmr', 'Mymr'].map((script) => `\\p{scx=${script}}`).join('');
const unspaced = `[[${scripts}]&&[\\p{L}\\p{N}\\p{M}]]`;
// A lexeme of PostgreSQL has at most 2046 bytes: a longer word is several.
const spaced = `[[\\p{L}\\p{N}]--[${scripts}]][[\\p{L}\\p{N}\\p{M}]--[${scripts}]]{0,254}`;
const run = new RegExp(`${spaced}|${unspaced}+|\\p{Extended_Pictographic}`, 'gv');
const unspacedRun = new RegExp(`^${unspaced}`, 'v');
const pair = new RegExp(`^${unspaced}{2}$`, 'v');
const single = new RegExp(`^${unspaced}$`, 'v');

/** In scripts without spaces, each character is a word together with the next one, and the last one alone. */
function wordsOf(text: string): string[] {
  if (/^\p{ASCII}*$/u.test(text)) return text.toLowerCase().match(/[a-z0-9]{1,255}/g) ?? [];
  const words: string[] = [];
  for (const match of fold(text).match(run) ?? []) {
    const characters = unspacedRun.test(match) ? Array.from(match) : [match];
    for (let index = 0; index < characters.length; index++)
      words.push((characters[index] as string) + (characters[index + 1] ?? ''));
  }
  return words;
}

const maxFoldedLength = 20_000; // One character may become 18.

function fold(text: string): string {
  // A symbol such as № becomes letters, which must not join the word next to it.
  const normalized = text.replace(/\p{S}/gu, ' $& ').normalize('NFKC');
  // Upper case unites ß, ẞ and SS, and the dotless ı and I.
  const lower = normalized.slice(0, maxFoldedLength).toLowerCase().toUpperCase().toLowerCase().normalize('NFKC');
  return lower
    .replaceAll('ς', 'σ')
    .replaceAll('i\u0307', 'i')
    .replace(/\p{Variation_Selector}/gu, '');
}

/** The distance between two texts, so that no phrase spans both. */
const positionsPerText = 2048;
const weights = 'ABC';

export function toSearch(...texts: (string | undefined)[]): string {
  const lexemes: string[] = [];
  for (const [index, text = ''] of texts.entries()) {
    let position = index * positionsPerText;
    for (const word of wordsOf(text)) lexemes.push(`'${word}':${++position}${weights[index]}`);
  }
  return lexemes.join(' ');
}

/** Keeps the words of unchanged texts, and with the weight D those of writers that do not know this rule. */
export function toSearchChange(...texts: (string | undefined)[]): { kept?: string[]; words?: string } {
  if (texts.every((text) => text === undefined)) return {};
  const kept = texts.flatMap((text, index) => (text === undefined ? (weights[index] as string) : []));
  return { kept: [...kept, 'D'], words: toSearch(...texts) };
}

export function toSearchQuery(q: string): string {
  const alternatives = [new Set<string>()];
  const terms = [...q.matchAll(/(-?)(?:"([^"]*)"?|([^\s"]+))/g)];
  for (const [index, [term, minus, quoted, unquoted = '']] of terms.entries()) {
    const all = alternatives.at(-1) as Set<string>;
    const isLast = index === terms.length - 1;
    if (/^or$/i.test(term) && all.size > 0 && !isLast) {
      alternatives.push(new Set());
    } else {
      // Only the last word: PostgreSQL reads every row of a prefix, even where the other words have few.
      const phrase = toPhrase(wordsOf(quoted ?? unquoted), isLast && quoted === undefined && !minus);
      if (phrase) all.add(minus ? `!(${phrase})` : `(${phrase})`);
    }
  }
  return alternatives
    .filter(({ size }) => size > 0)
    .map((all) => [...all].join(' & '))
    .join(' | ');
}

function toPhrase(words: string[], isPrefix: boolean): string {
  let phrase = '';
  let distance = 1;
  for (const [index, word] of words.entries()) {
    if (single.test(word) && pair.test(words[index - 1] ?? '')) {
      distance += 1;
    } else {
      const matchesLonger = single.test(word) || (isPrefix && !pair.test(word) && index === words.length - 1);
      phrase += `${phrase && ` <${distance}> `}'${word}'${matchesLonger ? ':*' : ''}`;
      distance = 1;
    }
  }
  return phrase;
}

const maxBatchSize = 200;
const pollIntervalMs = 1000;

/** Indexes the rows of writers that do not know this rule, until the signal. Pauses half of the time, for the requests. */
export async function indexQueued(
  db: Database,
  table: string,
  texts: string[],
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  let batchSize = maxBatchSize;
  while (!signal.aborted) {
    const began = performance.now();
    let count = 0;
    try {
      if (db.isMigrated) count = await indexBatch(db, table, texts, batchSize);
      batchSize = Math.min(batchSize + 10, maxBatchSize);
    } catch (error) {
      // Long texts may take longer than a statement may.
      batchSize = Math.ceil(batchSize / 2);
      if (batchSize === 1) logger.warn({ err: error }, 'cannot index for the search');
    }
    const pauseMs = count > 0 ? performance.now() - began : pollIntervalMs;
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}

async function indexBatch(db: Database, table: string, texts: string[], batchSize: number): Promise<number> {
  const queue = `${db.schema}.search_queue`;
  const next = `select position from ${queue} order by position limit`;
  const isEmpty = (await db.query({ name: 'find-queued', text: `${next} 1` })).length === 0;
  if (isEmpty) return 0;
  return db.transaction(async (transaction) => {
    const rows = await transaction.query<{ id: string; texts: string[] }>({
      name: 'take-queued',
      text: `with queued as (
               delete from ${queue}
               where position in (${next} $1 for update skip locked)
               returning id
             )
             select id, array[${texts.join(', ')}] as texts
             from ${db.schema}.${table}
             where id in (select id from queued)
             order by id
             for update`,
      values: [batchSize],
    });
    await transaction.query({
      name: 'index-queued',
      text: `update ${db.schema}.${table} as queued set search = new.search
             from unnest($1::uuid[], $2::tsvector[]) as new (id, search)
             where queued.id = new.id`,
      values: [rows.map(({ id }) => id), rows.map((row) => toSearch(...row.texts))],
    });
    return rows.length;
  });
}
