/** A backup, a disaster, a restore: by the manifests of production, where the image of PostgreSQL has pg_dump. */
import { services } from '@task-manager/dev/repository';
import * as cluster from './cluster.ts';
import { apply, kubectl, manifestsIn, onNode, query, until, untilRolledOut } from './cluster.ts';
import { ask, loadWhile, type Target } from './load.ts';

const saved = `${cluster.folder}.saved`;

export async function rehearseRestore(target: Target): Promise<string> {
  const pgDump = await kubectl(['exec', 'deployment/postgres', '--', 'which', 'pg_dump']).catch(() => '');
  await loadWhile(target, async () => undefined);
  const before = await fingerprint();
  await (pgDump ? backUp() : copyFolder());
  await write(target, 'After the backup');

  await stop(['postgres']);
  await cluster.emptyFolder();
  await deployPostgres();

  const startedAt = Date.now();
  await (pgDump ? restore() : copyFolderBack());
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
  const after = await fingerprint();
  if (after !== before) throw new Error(`other rows than before: ${after} instead of ${before}`);
  await scaleServices(2);
  await write(target, 'After the restore');
  const how = pgDump ? 'pg_dump and pg_restore' : 'a copy of the folder; postgres:18 has no pg_dump here, not run';
  return `restored in ${seconds} s by ${how}: ${after}`;
}

/** Writes a task, as soon as the services have noticed that their database is back. */
async function write(target: Target, title: string): Promise<void> {
  const request = { path: '/tasks', method: 'POST', body: { title } };
  await until(async () => (await ask(target, request)).status === 201, 10);
}

async function backUp(): Promise<void> {
  await apply(await manifestsIn('production/postgres-backup.yaml'));
  await kubectl(['create', 'job', '--from=cronjob/postgres-backup', 'postgres-backup-now']);
  await untilComplete('postgres-backup-now');
}

async function restore(): Promise<void> {
  await scaleServices(0);
  await apply(await manifestsIn('production/postgres-restore.yaml'));
  await untilComplete('postgres-restore');
}

/** Shows what a job says. Throws when it failed. */
async function untilComplete(job: string): Promise<void> {
  await kubectl(['wait', `job/${job}`, '--for=jsonpath={.status.conditions}', '--timeout=300s']);
  const log = await kubectl(['logs', `job/${job}`]);
  console.log(log.replace(/^/gm, '   '));
  const succeeded = await kubectl(['get', `job/${job}`, '--output', 'jsonpath={.status.succeeded}']);
  if (succeeded !== '1') throw new Error(`${job} failed: ${log.split('\n').at(-1) ?? ''}`);
}

async function copyFolder(): Promise<void> {
  await stop(['postgres']);
  await onNode(`rm -rf ${saved} && cp -a ${cluster.folder} ${saved}`);
  await deployPostgres();
}

async function copyFolderBack(): Promise<void> {
  await stop(['postgres', ...services]);
  await onNode(`rm -rf ${cluster.folder} && mv ${saved} ${cluster.folder}`);
  await deployPostgres();
}

async function stop(deployments: string[]): Promise<void> {
  await kubectl(['scale', '--replicas=0', ...deployments.map((name) => `deployment/${name}`)]);
  for (const name of deployments) {
    await kubectl(['wait', 'pod', '--selector', `app.kubernetes.io/name=${name}`, '--for=delete', '--timeout=120s']);
  }
}

async function deployPostgres(): Promise<void> {
  await apply(await manifestsIn('postgres-deployment.yaml'));
  await untilRolledOut(['postgres']);
}

async function scaleServices(replicas: number): Promise<void> {
  await kubectl(['scale', `--replicas=${replicas}`, ...services.map((name) => `deployment/${name}`)]);
  await untilRolledOut(services);
}

/** How many rows the tables of both services have, and a hash of them all. */
async function fingerprint(): Promise<string> {
  const tables = ['task_service.tasks', 'task_service.events', 'user_service.users', 'user_service.events'];
  const rows = tables.map((table) => `select '${table}' || t::text as line from ${table} as t`).join(' union all ');
  return (await query(`select count(*) || ' rows, ' || md5(string_agg(line, '' order by line)) from (${rows})`)).join();
}
