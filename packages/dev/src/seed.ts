/** The data of the sandbox: the examples of the contracts' lists. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { parse } from 'yaml';
import type { Database } from './database.ts';
import { root } from './repository.ts';

/** The table of each list, and the types of the events for a created and a changed item. */
const lists = [
  { service: 'task-service', page: 'TaskPage', table: 'tasks', created: 'task.created', changed: 'task.updated' },
  { service: 'user-service', page: 'UserPage', table: 'users', created: 'user.registered', changed: 'user.updated' },
];

/** Replaces all rows of the services by the examples, with events at the times that these name. */
export async function seed({ environmentOf }: Database): Promise<void> {
  for (const list of lists) {
    const { POSTGRES_HOST: host, POSTGRES_PORT: port, POSTGRES_DB: database, ...role } = environmentOf(list.service);
    const { POSTGRES_USER: user, POSTGRES_PASSWORD: password } = role;
    const client = new pg.Client({ host, port: Number(port), database, user, password });
    await client.connect();
    try {
      await client.query('begin');
      await seedList(client, list);
      await client.query('commit');
    } finally {
      await client.end();
    }
  }
}

async function seedList(client: pg.Client, { service, page, table, created, changed }: (typeof lists)[number]) {
  const schema = service.replaceAll('-', '_');
  await client.query(`truncate ${schema}.${table}, ${schema}.events, ${schema}.idempotency_keys`);
  const items = (await examplesOf(service, page)).sort((one, other) => (one.id < other.id ? -1 : 1));
  const columns = Object.keys(items[0] ?? {}).map(toColumn);
  await client.query(
    `insert into ${schema}.${table} (${columns.join()})
     select ${columns.join()} from jsonb_populate_recordset(null::${schema}.${table}, $1)`,
    [JSON.stringify(items.map(toRow))],
  );
  await client.query(
    `insert into ${schema}.events (type, subject, version, time)
     select case number when 1 then $1 else $2 end, id, number, case number when 1 then created_at else updated_at end as time
     from ${schema}.${table}, generate_series(1, version) as number
     order by time`,
    [created, changed],
  );
  if (!columns.includes('assignee_id')) return;
  await client.query(`truncate ${schema}.assignees`);
  await client.query(
    `insert into ${schema}.assignees (id) select distinct assignee_id from ${schema}.${table} where assignee_id is not null`,
  );
}

interface Item {
  id: string;
}

async function examplesOf(service: string, page: string): Promise<Item[]> {
  const contract = parse(await readFile(join(root, 'generated', `${service}.yaml`), 'utf8')) as {
    components: { schemas: Record<string, { example?: { items: Item[] } }> };
  };
  return contract.components.schemas[page]?.example?.items ?? [];
}

function toRow(item: Item): Record<string, unknown> {
  return Object.fromEntries(Object.entries(item).map(([name, value]) => [toColumn(name), value]));
}

/** `createdAt` → `created_at`. */
function toColumn(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
