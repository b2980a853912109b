/** Checks that all servers do the same: their responses before the run, the rows in the tables after it. */
import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import type { Outcome } from './load-generator.ts';
import type { Server } from './servers.ts';

/** The writes that servers have acknowledged. */
export class Acknowledged {
  readonly #created = new Map<string, number>();
  readonly #kept: Outcome['kept'] = [];
  #changed = 0;

  add(
    key: string,
    { created, changed, kept = [] }: { created: number; changed: number; kept?: Outcome['kept'] },
  ): void {
    this.#created.set(key, (this.#created.get(key) ?? 0) + created);
    this.#changed += changed;
    this.#kept.push(...kept);
  }

  /** Compares them with the tables. Resolves with one line per difference. */
  async differences(db: pg.Client): Promise<string[]> {
    const { rows: tasks } = await db.query<{ key: string; tasks: number; events: number }>(
      `select split_part(title, ' ', 2) as key, count(*)::int as tasks,
         count(event.subject)::int as events
       from task_service.tasks
       left join task_service.events as event on subject = id and type = 'task.created'
       where title like 'bench %' group by 1`,
    );
    const { rows: changes } = await db.query<{ versions: number; events: number }>(
      `select (select sum(version - 1)::int from task_service.tasks) as versions,
         (select count(*)::int from task_service.events where type = 'task.updated') as events`,
    );
    const { rows: kept } = await db.query<{ missing: number }>(
      `select count(*)::int as missing from json_to_recordset($1) as kept (id uuid, title text)
       where not exists (select from task_service.tasks where tasks.id = kept.id and tasks.title = kept.title)`,
      [JSON.stringify(this.#kept)],
    );
    const found = new Map(tasks.map((row) => [row.key, row]));
    const lines = [...this.#created].map(([key, created]) => {
      const { tasks = 0, events = 0 } = found.get(key) ?? {};
      return tasks !== created || events !== created
        ? `${key} acknowledged ${created} new tasks, but there are ${tasks} rows and ${events} events.`
        : '';
    });
    const { versions = 0, events = 0 } = changes[0] ?? {};
    if (versions !== this.#changed || events !== this.#changed) {
      lines.push(
        `${this.#changed} changes were acknowledged, but there are ${versions} versions and ${events} events.`,
      );
    }
    if (kept[0]?.missing)
      lines.push(`${kept[0].missing} of ${this.#kept.length} responses contain a task that does not exist.`);
    return lines.filter((line) => line !== '');
  }

  get total(): number {
    return [...this.#created.values()].reduce((sum, each) => sum + each, this.#changed);
  }
}

/**
 * Sends every request that is measured, and some that must be rejected, and compares the responses with the first server's.
 * Throws an Error with both where they differ. Of new ids and times only the format is compared.
 */
export async function compareAnswers(servers: Server[], someId: string, acknowledged: Acknowledged): Promise<void> {
  // Reads come first: new tasks would change the list.
  await compare(servers, (ask, server) => readingAnswers(ask, server, someId));
  await compare(servers, (ask, { key }) => writingAnswers(ask, key));
  for (const { key } of servers) acknowledged.add(key, { created: 1, changed: 2 });
}

interface Answer {
  status: number;
  type?: string;
  location?: string | undefined;
  body?: unknown;
}

type Ask = (method: string, path: string, body?: unknown) => Promise<Answer>;

async function compare(
  servers: Server[],
  answersOf: (ask: Ask, server: Server) => Promise<Record<string, Answer>>,
): Promise<void> {
  let expected: Record<string, Answer> | undefined;
  for (const server of servers) {
    const answers = await answersOf(askerOf(server.port), server);
    expected ??= answers;
    for (const [name, answer] of Object.entries(answers)) {
      if (isDeepStrictEqual(answer, expected[name])) continue;
      const [shown, wanted] = [answer, expected[name]].map((each) => JSON.stringify(each));
      throw new Error(`${server.name} has another response (${name}):\n${shown}\n${servers[0]?.name} has:\n${wanted}`);
    }
  }
}

async function readingAnswers(ask: Ask, { validates }: Server, someId: string): Promise<Record<string, Answer>> {
  const unknown = '01939c2e-0000-7000-8000-000000000000';
  return {
    list: await ask('GET', '/tasks'),
    get: await ask('GET', `/tasks/${someId}`),
    unknown: nameless(await ask('GET', `/tasks/${unknown}`)),
    unchanged: nameless(await ask('PATCH', `/tasks/${unknown}`, { status: 'done' })),
    // Every framework has its own message.
    ...(validates && { refused: { status: (await ask('POST', '/tasks', { title: '' })).status } }),
  };
}

async function writingAnswers(ask: Ask, key: string): Promise<Record<string, Answer>> {
  const created = await ask('POST', '/tasks', { title: `bench ${key} compared`, description: 'As it is.' });
  const { id } = created.body as { id: string };
  const found = await ask('GET', `/tasks/${id}`);
  if (!isDeepStrictEqual(found.body, created.body)) throw new Error(`${key} stores another task than it returns`);
  return {
    created: timeless(created, key, id),
    finished: timeless(await ask('PATCH', `/tasks/${id}`, { status: 'done' }), key, id),
    described: timeless(await ask('PATCH', `/tasks/${id}`, { description: 'As it was changed.' }), key, id),
  };
}

/** Replaces what differs between servers with a word: the key, the id, and times, which are numbered. */
function timeless(answer: Answer, key: string, id: string): Answer {
  const times: string[] = [];
  const text = JSON.stringify(answer)
    .replaceAll(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id) ? 'ID' : id)
    .replaceAll(`bench ${key} `, 'bench KEY ')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, (time) => {
      if (!times.includes(time)) times.push(time);
      return `TIME ${times.indexOf(time)}`;
    });
  return JSON.parse(text) as Answer;
}

/** A problem without its request id. */
function nameless(answer: Answer): Answer {
  return { ...answer, body: { ...(answer.body as object), requestId: '' } };
}

function askerOf(port: number): Ask {
  return async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...(body !== undefined && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    });
    return {
      status: response.status,
      type: response.headers.get('content-type')?.split(';')[0] ?? '',
      location: response.headers.get('location') ?? undefined,
      body: await response.json(),
    };
  };
}
