/** A backup, a disaster and a restore, with the manifests of production where the image of PostgreSQL has pg_dump. */
import { services } from '@task-manager/dev/repository';
import { until } from '@task-manager/testing/until';
import {
  apply,
  emptyFolder,
  folder,
  kubectl,
  query,
  readManifests,
  runOnNode,
  scale,
  untilRolledOut,
} from './cluster.ts';
import { loadWhile } from './load.ts';

const saved = `${folder}.saved`;

export async function rehearseRestore(url: string): Promise<string> {
  const pgDump = await kubectl(['exec', 'deployment/postgres', '--', 'which', 'pg_dump']).catch(() => '');
  await loadWhile(url, async () => undefined);
  const before = await fingerprint();
  await (pgDump ? backUp() : copyFolder());
  await createTask(url, 'After the backup');

  await stop(['postgres']);
  await emptyFolder();
  await deployPostgres();

  const startedAt = Date.now();
  await (pgDump ? restore() : copyFolderBack());
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
  const after = await fingerprint();
  if (after !== before) throw new Error(`the rows differ: ${after} instead of ${before}`);
  await scale(services, 2);
  await createTask(url, 'After the restore');
  const how = pgDump ? 'pg_dump and pg_restore' : 'a copy of the folder, because the image has no pg_dump';
  return `restored in ${seconds} s by ${how}: ${after}`;
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

async function copyFolder(): Promise<void> {
  await stop(['postgres']);
  await runOnNode(`rm -rf ${saved} && cp -a ${folder} ${saved}`);
  await deployPostgres();
}

async function copyFolderBack(): Promise<void> {
  await stop(['postgres', ...services]);
  await runOnNode(`rm -rf ${folder} && mv ${saved} ${folder}`);
  await deployPostgres();
}

async function stop(deployments: string[]): Promise<void> {
  await scale(deployments, 0);
  for (const name of deployments) {
    await kubectl(['wait', 'pod', '--selector', `app.kubernetes.io/name=${name}`, '--for=delete', '--timeout=120s']);
  }
}

async function deployPostgres(): Promise<void> {
  await apply(await readManifests('postgres.yaml'));
  await untilRolledOut(['postgres']);
}

/** The number of rows in the tables of both services, and a hash of them. */
async function fingerprint(): Promise<string> {
  const tables = ['task_service.tasks', 'task_service.events', 'user_service.users', 'user_service.events'];
  const rows = tables.map((table) => `select '${table}' || t::text as line from ${table} as t`).join(' union all ');
  return (await query(`select count(*) || ' rows, ' || md5(string_agg(line, '' order by line)) from (${rows})`)).join();
}
