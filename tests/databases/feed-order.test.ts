/** Feeds stay in order, and lose and repeat nothing, when the database moves to a server with other transaction ids. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Config } from '@task-manager/runtime/config';
import { connectAsSuperuser, migrateDatabase, newEnvironment } from '@task-manager/testing/harness';
import { TestPostgres } from '@task-manager/testing/postgres';
import { spawnService, untilStatus, type ServiceProcess } from '@task-manager/testing/processes';
import { until } from '@task-manager/testing/until';
import createClient from 'openapi-fetch';
import type pg from 'pg';
import type { paths as TaskPaths } from '../../generated/task-service.d.ts';
import type { paths as UserPaths } from '../../generated/user-service.d.ts';

const names = ['user-service', 'task-service'] as const;
type Environments = Record<(typeof names)[number], Config>;

/** Both services as processes on one PostgreSQL. */
class System {
  readonly environments: Environments;
  #services: ServiceProcess[] = [];

  constructor(environments: Environments) {
    this.environments = environments;
  }

  static async create(postgres: TestPostgres, isHidden = false): Promise<System> {
    const environments = names.map(async (name) => {
      const environment = await newEnvironment(name, postgres.port);
      // As some providers do.
      if (isHidden)
        await withSuperuser(environment, (client) =>
          client.query('revoke execute on function pg_control_system() from public'),
        );
      return environment;
    });
    const [users, tasks] = await Promise.all(environments);
    return new System({ 'user-service': users as Config, 'task-service': tasks as Config });
  }

  async start(): Promise<void> {
    const users = await spawnService('user-service', this.environments['user-service']);
    const USER_SERVICE_URL = users.url;
    this.#services = [
      users,
      await spawnService('task-service', this.environments['task-service'], { USER_SERVICE_URL }),
    ];
    await Promise.all(this.#services.map(({ url }) => untilStatus(200, `${url}/health`)));
  }

  async stop(): Promise<void> {
    for (const { child } of this.#services) child.kill();
    await Promise.all(this.#services.map(({ exited }) => exited));
  }

  async createUser(): Promise<string> {
    const email = `${crypto.randomUUID()}@example.com`;
    return this.#created(await this.#users.POST('/register', { body: { name: 'Ada', email } }));
  }

  async createTask(assigneeId?: string): Promise<string> {
    const body = { title: 'Move', ...(assigneeId && { assigneeId }) };
    return this.#created(await this.#tasks.POST('/tasks', { body }));
  }

  async rename(taskId: string): Promise<void> {
    const path = { taskId };
    const { response } = await this.#tasks.PATCH('/tasks/{taskId}', { params: { path }, body: { title: 'Moved' } });
    expect(response.status).toBe(200);
  }

  async deleteUser(userId: string): Promise<void> {
    await this.#users.DELETE('/users/{userId}', { params: { path: { userId } } });
  }

  async assigneeOf(taskId: string): Promise<string | null | undefined> {
    const { data } = await this.#tasks.GET('/tasks/{taskId}', { params: { path: { taskId } } });
    return data?.assigneeId;
  }

  /** The events of tasks after a position, as `type id version`, and the position of the last. */
  async readFeed(cursor?: string): Promise<{ events: string[]; cursor: string }> {
    const query = { limit: 100, wait: 2, ...(cursor && { cursor }) };
    const { data } = await this.#tasks.GET('/tasks/feed', { params: { query } });
    const events = data?.items.map(({ type, subject, data: { version } }) => `${type} ${subject} ${version}`) ?? [];
    return { events, cursor: data?.nextCursor ?? '' };
  }

  get #users() {
    return createClient<UserPaths, 'application/json'>({ baseUrl: this.#services[0]?.url ?? '' });
  }

  get #tasks() {
    return createClient<TaskPaths, 'application/json'>({ baseUrl: this.#services[1]?.url ?? '' });
  }

  #created({ response, data }: { response: Response; data?: { id: string } }): string {
    expect(response.status).toBe(201);
    return data?.id ?? '';
  }
}

describe.each([
  ['servers', false],
  ['servers that do not identify themselves', true],
])('a database moved between %s with other transaction ids', (_servers, isHidden) => {
  let old: TestPostgres;
  let fresh: TestPostgres;
  let running: System | undefined;

  beforeAll(async () => {
    [old, fresh] = await Promise.all([TestPostgres.start(), TestPostgres.start()]);
  }, 60_000);
  afterAll(async () => {
    await running?.stop();
    await Promise.all([old.remove(), fresh.remove()]);
  });

  it('continues after the old cursor, follows the users, and keeps its order when it moves again', async () => {
    const system = (running = await System.create(old, isHidden));
    await skipTransactionIds(old, 20_000);
    await system.start();
    const userId = await system.createUser();
    const taskId = await system.createTask(userId);
    const seen = await system.readFeed();
    const unseen = await system.createTask();
    await system.stop();

    const moved = (running = await System.create(fresh, isHidden));
    await restore(system, moved);
    await moved.start();
    await moved.deleteUser(userId);
    await until(async () => (await moved.assigneeOf(taskId)) === null);
    await moved.rename(unseen);
    await until(async () => (await moved.readFeed(seen.cursor)).events.length >= 3);
    const next = await moved.readFeed(seen.cursor);
    expect(seen.events).toEqual([`task.created ${taskId} 1`]);
    expect(next.events).toEqual([`task.created ${unseen} 1`, `task.updated ${taskId} 2`, `task.updated ${unseen} 2`]);
    await moved.stop();

    // The transaction ids of the old server are higher.
    const back = (running = await System.create(old, isHidden));
    await restore(moved, back);
    await back.start();
    const last = await back.createTask();
    await back.rename(taskId);
    await until(async () => (await back.readFeed(next.cursor)).events.length >= 2);
    const { events } = await back.readFeed(next.cursor);
    expect(events).toEqual([`task.created ${last} 1`, `task.updated ${taskId} 3`]);
  }, 120_000);
});

describe('a standby that is promoted after commits were lost', () => {
  it('has its new events after those that consumers have seen', async () => {
    const postgres = await TestPostgres.start();
    const system = await System.create(postgres);
    try {
      await system.start();
      const taskId = await system.createTask();
      await postgres.stop('SIGINT');
      await postgres.backUp();
      await postgres.restart();
      await until(async () => (await system.assigneeOf(taskId)) === null);
      for (let count = 0; count < 5; count++) await system.createTask();
      await until(async () => (await system.readFeed()).events.length === 6);
      const { cursor } = await system.readFeed();
      await postgres.stop('SIGQUIT');
      await postgres.failOver();
      await until(async () => (await system.assigneeOf(taskId)) === null);
      const after = await system.createTask();
      expect((await system.readFeed(cursor)).events).toEqual([`task.created ${after} 1`]);
    } finally {
      await system.stop();
      await postgres.remove();
    }
  }, 120_000);
});

async function skipTransactionIds(postgres: TestPostgres, count: number): Promise<void> {
  await postgres.query(`do 'begin for number in 1..${count} loop perform pg_current_xact_id(); commit; end loop; end'`);
}

/** Copies rows and functions as pg_dump and pg_restore do; npm has neither. */
async function restore(from: System, to: System): Promise<void> {
  for (const name of names) {
    const [source, target] = [from.environments[name], to.environments[name]];
    await migrateDatabase(name, target);
    await withSuperuser(source, (reader) =>
      withSuperuser(target, (writer) => copySchema(reader, writer, name.replaceAll('-', '_'))),
    );
  }
}

async function copySchema(source: pg.Client, target: pg.Client, schema: string): Promise<void> {
  const { rows: functions } = await source.query<{ definition: string }>(
    'select pg_get_functiondef(oid) as definition from pg_proc where pronamespace = $1::regnamespace',
    [schema],
  );
  for (const { definition } of functions) await target.query(definition);
  const { rows: tables } = await source.query<{ name: string; columns: string }>(
    `select attrelid::regclass::text as name, string_agg(quote_ident(attname), ', ') as columns
     from pg_attribute join pg_class on pg_class.oid = attrelid
     where relnamespace = $1::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped and attgenerated = ''
     group by 1`,
    [schema],
  );
  for (const { name, columns } of tables) {
    const { rows } = await source.query<{ rows: string }>(
      `select json_agg(copied)::text as rows from ${name} as copied`,
    );
    await target.query(`truncate ${name}`);
    await target.query(
      `insert into ${name} (${columns}) overriding system value
       select ${columns} from json_populate_recordset(null::${name}, $1::json)`,
      [rows[0]?.rows ?? '[]'],
    );
  }
}

async function withSuperuser(environment: Config, run: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = await connectAsSuperuser(environment);
  await run(client).finally(() => client.end());
}
