/** Backups, with the manifests and commands of production: a disaster and a restore, and the move to another volume. */
import { services } from '@task-manager/dev/repository';
import { until } from '@task-manager/testing/until';
import { apply, emptyFolder, follow, kubectl, NotRun, query, readManifests, scale, untilRolledOut } from './cluster.ts';
import { compareRows } from './faults.ts';
import { loadWhile } from './load.ts';

export async function rehearseRestore(url: string): Promise<string> {
  await needPgDump();
  await loadWhile(url, async () => undefined);
  const before = await fingerprint();
  await backUp();
  await createTask(url, 'After the backup');

  await scale(['postgres'], 0);
  await kubectl(['wait', 'pod', '--selector', 'app.kubernetes.io/name=postgres', '--for=delete', '--timeout=120s']);
  await emptyFolder();
  await apply(await readManifests('postgres.yaml'));
  await untilRolledOut(['postgres']);

  const startedAt = Date.now();
  await restore();
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
  const after = await fingerprint();
  if (after !== before) throw new Error(`the rows differ: ${after} instead of ${before}`);
  await scale(services, 2);
  await createTask(url, 'After the restore');
  return `restored in ${seconds} s: ${after}`;
}

/** No acknowledged write is lost while the commands of the file move the data under load. */
export async function moveVolume(url: string): Promise<string> {
  await needPgDump();
  return compareRows(await loadWhile(url, () => follow('production/postgres-storage.yaml')));
}

async function needPgDump(): Promise<void> {
  await kubectl(['exec', 'deployment/postgres', '--', 'which', 'pg_dump']).catch(() => {
    throw new NotRun('the image of PostgreSQL has no pg_dump');
  });
}

/** Succeeds once the services have noticed that their database is back. */
async function createTask(url: string, title: string): Promise<void> {
  const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ title }) };
  const isCreated = async () => (await fetch(`${url}/tasks`, init)).status === 201;
  await until(isCreated, { timeoutMs: 10_000, intervalMs: 500 });
}

async function backUp(): Promise<void> {
  await apply(await readManifests('production/postgres-backup.yaml'));
  await kubectl(['create', 'job', '--from=cronjob/postgres-backup', 'postgres-backup-now']);
  await untilComplete('postgres-backup-now');
}

async function restore(): Promise<void> {
  await scale(services, 0);
  await apply(await readManifests('production/postgres-restore.yaml'));
  await untilComplete('postgres-restore');
}

/** Prints the log of the job. Throws when it failed. */
async function untilComplete(job: string): Promise<void> {
  await kubectl(['wait', `job/${job}`, '--for=jsonpath={.status.conditions}', '--timeout=300s']);
  const log = await kubectl(['logs', `job/${job}`]);
  console.log(log.replace(/^/gm, '   '));
  const succeeded = await kubectl(['get', `job/${job}`, '--output', 'jsonpath={.status.succeeded}']);
  if (succeeded !== '1') throw new Error(`${job} failed: ${log.split('\n').at(-1) ?? ''}`);
}

/** The number of rows in the tables of both services, and a hash of them. */
async function fingerprint(): Promise<string> {
  const tables = ['task_service.tasks', 'task_service.events', 'user_service.users', 'user_service.events'];
  const rows = tables.map((table) => `select '${table}' || t::text as line from ${table} as t`).join(' union all ');
  return (await query(`select count(*) || ' rows, ' || md5(string_agg(line, '' order by line)) from (${rows})`)).join();
}
