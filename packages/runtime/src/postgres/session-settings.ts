/** What the statements need of a session, whatever the server, the database and the role set. */
import pg from 'pg';

/** The server responds, but this service cannot work on it. The message says what to change. */
export class UnusableDatabase extends Error {
  /** For `/health`, which anyone may read. */
  readonly reason: string;

  constructor(message: string, reason = message) {
    super(message);
    this.reason = reason;
  }
}

/** Other values give wrong results: the accepted ones as a regular expression, and the value to set instead. */
const required: Record<string, [accepted: string, value: string]> = {
  // The other levels hide rows that were committed while a statement waited for a lock.
  default_transaction_isolation: ['^read committed$', 'read committed'],
  // Off acknowledges writes that a crash loses.
  synchronous_commit: ['^(?!off$)', 'on'],
  DateStyle: ['^ISO', 'ISO'],
  array_nulls: ['^on$', 'on'],
  standard_conforming_strings: ['^on$', 'on'],
  transform_null_equals: ['^off$', 'off'],
  gin_fuzzy_search_limit: ['^0$', '0'],
  exit_on_error: ['^off$', 'off'],
};

// Shorter than the client's timeout, so that the server stops work that no client waits for.
export const statementTimeoutMs = 800;
// A replica that hangs or is cut off must not keep its locks. No request takes longer.
const idleTimeout = '2s';

const preferred: Record<string, string> = {
  statement_timeout: `${statementTimeoutMs}ms`,
  idle_in_transaction_session_timeout: idleTimeout,
  lock_timeout: '0',
  transaction_timeout: '0',
  idle_session_timeout: '0',
  plan_cache_mode: 'auto',
  search_path: '',
  TimeZone: 'UTC',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
};

const settings = [
  ...Object.entries(required).map(([name, [accepted, value]]) => ({ name, accepted, value })),
  ...Object.entries(preferred).map(([name, value]) => ({ name, accepted: `^${value}$`, value })),
];

/** Poolers send a `processID` of their own. What one statement sets, the next one may not find, and another client may. */
const pooled = new WeakSet<pg.ClientBase>();
const unprepared = new WeakSet<pg.ClientBase>();

export function preparesStatements(client: pg.ClientBase): boolean {
  return !unprepared.has(client);
}

export function beginOf(client: pg.ClientBase): string {
  return pooled.has(client) ? beginPooled : 'begin';
}

const beginPooled = `begin; set local statement_timeout = '${statementTimeoutMs}ms';
  set local idle_in_transaction_session_timeout = '${idleTimeout}'`;

/** Sets up the session in one round trip. Through a pooler it only checks whether the role has what is required. */
export async function setUpSession(client: pg.ClientBase, limitMs: number): Promise<void> {
  const query = withinLimit(client, limitMs);
  const [session] = await query<{ isDirect: boolean; role: string; changed: Record<string, string> | null }>({
    text: `select pg_backend_pid() = $1 as "isDirect", quote_ident(current_user) as role,
             json_object_agg(name, case pg_backend_pid() when $1 then set_config(name, value, false) else value end)
               filter (where current_setting(name, true) !~ accepted) as changed
           from unnest($2::text[], $3::text[], $4::text[]) as needed (name, accepted, value)`,
    values: [
      (client as { processID?: number }).processID,
      settings.map(({ name }) => name),
      settings.map(({ accepted }) => accepted),
      settings.map(({ value }) => value),
    ],
  });
  if (!session || session.isDirect) return;
  const wrong = Object.entries(session.changed ?? {}).filter(([name]) => name in required);
  if (wrong.length > 0)
    throw new UnusableDatabase(adviceFor(session.role, wrong), 'The settings of the database cannot be used.');
  if (pooled.has(client)) return;
  if (!(await canPrepare(query))) unprepared.add(client);
  pooled.add(client);
}

type Query = <Row extends object>(statement: pg.QueryConfig) => Promise<Row[]>;

function withinLimit(client: pg.ClientBase, limitMs: number): Query {
  const deadline = performance.now() + limitMs;
  return async <Row extends object>(statement: pg.QueryConfig) => {
    const config = { ...statement, query_timeout: Math.max(1, deadline - performance.now()) };
    return (await client.query<Row>(config)).rows;
  };
}

function adviceFor(role: string, wrong: [name: string, value: string][]): string {
  const statements = wrong.map(([name, value]) => `alter role ${role} set ${name} = '${value}';`);
  return `a connection pooler keeps no session settings: run ${statements.join(' ')} and restart the pooler`;
}

/** Whether the pooler prepares statements, under names of its own. In statement mode it rejects `begin`. */
async function canPrepare(query: Query): Promise<boolean> {
  await query({ text: 'begin' });
  try {
    const text = `select from pg_prepared_statements where name = 'check'`;
    return (await query({ name: 'check', text })).length === 0;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === duplicateStatement) return false;
    throw error;
  } finally {
    await query({ text: 'rollback' });
  }
}

const duplicateStatement = '42P05';
