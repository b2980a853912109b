/** What a cluster does to pods, under load. */
import { setTimeout as sleep } from 'node:timers/promises';
import { services } from '@task-manager/dev/repository';
import { until } from '@task-manager/testing/until';
import {
  apply,
  follow,
  kubectl,
  namespace,
  podsOf,
  query,
  readManifests,
  runOnNode,
  scale,
  untilRolledOut,
} from './cluster.ts';
import { loadWhile, type Exchange } from './load.ts';

/** No request fails during the act, and no row is lost or duplicated. */
export async function withoutFailures(url: string, act: () => Promise<string | undefined>): Promise<string> {
  let result: string | undefined;
  const exchanges = await loadWhile(url, async () => (result = await act()));
  const failed = failures(exchanges);
  const summary = [await compareRows(exchanges), result].filter(Boolean).join('; ');
  if (failed.length > 0) throw new Error(`${failed.length} failed (${describe(failed)}) of ${summary}`);
  return `0 failed of ${summary}`;
}

export async function restartBoth(): Promise<undefined> {
  const minute = sleep(54_000);
  await kubectl(['rollout', 'restart', ...services.map((name) => `deployment/${name}`)]);
  await untilRolledOut(services);
  await minute;
}

export async function scaleBoth(): Promise<undefined> {
  for (const replicas of [4, 1, 2]) {
    await scale(services, replicas);
    // Until surplus pods have ended.
    await sleep(8000);
  }
}

export async function deletePods(): Promise<undefined> {
  for (const name of services) await deletePod(name);
  // Until they have ended.
  await sleep(8000);
}

async function deletePod(name: string): Promise<void> {
  const [pod] = await podsOf(name);
  await kubectl(['delete', 'pod', pod?.metadata.name ?? '', '--wait=false']);
  await sleep(1000);
  await untilRolledOut([name]);
}

/** Each service gets another password, by the commands of the file. */
export async function changePasswords(): Promise<undefined> {
  for (const name of services) {
    const stringData = { password: `It's $5 \\ "${Date.now()}"` };
    await kubectl(['patch', 'secret', `${name}-postgres`, '--patch', JSON.stringify({ stringData })]);
    const adapt = (commands: string) => commands.replace(/.* apply .*\n/, '').replaceAll('task-service', name);
    await follow('postgres-secret.yaml', adapt);
  }
}

/** Only requests that are pending when a container is killed may fail. */
export async function killContainers(url: string): Promise<string> {
  const kills: { from: number; to: number }[] = [];
  const exchanges = await loadWhile(url, async () => {
    for (const name of services) {
      kills.push(await killContainer(name));
      await sleep(5000);
      await untilRolledOut([name]);
    }
  });
  const failed = failures(exchanges);
  const isPending = ({ startedAt, endedAt }: Exchange) =>
    kills.some(({ from, to }) => startedAt <= to && endedAt >= from);
  const others = failed.filter((exchange) => !isPending(exchange));
  const summary = `${failed.length} failed of ${await compareRows(exchanges)}`;
  if (others.length > 0) throw new Error(`${summary}; not pending at a kill: ${describe(others)}`);
  return `${summary}; ${exchanges.filter(isPending).length} were pending`;
}

/** Kills a container's process, as a kernel short of memory does. Resolves with the times around its death. */
async function killContainer(name: string): Promise<{ from: number; to: number }> {
  const [pod] = await podsOf(name);
  const id = pod?.status.containerStatuses[0]?.containerID.replace(/^.*:\/\//, '') ?? '';
  const find = `pid=$(grep -ls '${id}' /proc/[0-9]*/cgroup | cut -d/ -f3)`;
  const kill = `date +%s%3N; kill -9 $pid; while kill -0 $pid 2> /dev/null; do :; done; date +%s%3N`;
  const [from = NaN, to = NaN] = (await runOnNode(`${find}; ${kill}`)).split('\n').map(Number);
  const isRestarted = async () => {
    const now = (await podsOf(name)).find(({ metadata }) => metadata.name === pod?.metadata.name);
    return now?.status.containerStatuses[0]?.restartCount === 1;
  };
  await until(isRestarted, { timeoutMs: 30_000, intervalMs: 500 });
  return { from, to };
}

export async function deletePostgres(url: string): Promise<string> {
  let deletedAt = 0;
  const exchanges = await loadWhile(url, async () => {
    deletedAt = Date.now();
    await deletePod('postgres');
    await sleep(2000);
  });
  const rejected = rejections(exchanges);
  const seconds = (Math.max(...rejected.map(({ endedAt }) => endedAt)) - deletedAt) / 1000;
  const slowestMs = Math.max(...exchanges.map(({ startedAt, endedAt }) => endedAt - startedAt)).toFixed(0);
  const summary = `${rejected.length} times 503, recovered after ${seconds.toFixed(1)} s, slowest response ${slowestMs} ms`;
  const rows = await compareRows(exchanges);
  if (seconds > 10) throw new Error(`${summary}; ${rows}`);
  return `${summary}; ${rows}`;
}

/** The pods stay ready for a while: clients receive the services' problem document, not the page of the Ingress. */
export async function removeDatabase(url: string): Promise<string> {
  let ready: string[] = [];
  const exchanges = await loadWhile(url, async () => {
    await scale(['postgres'], 0);
    await sleep(20_000);
    ready = await Promise.all(services.map(readyReplicasOf));
    await scale(['postgres'], 1);
  });
  const summary = `${rejections(exchanges).length} times 503, ready meanwhile: ${ready.join(' and ')}`;
  const rows = await compareRows(exchanges);
  if (ready.some((count) => count !== '2')) throw new Error(`${summary}; ${rows}`);
  return `${summary}; ${rows}`;
}

/** The failures. Throws when there is none, or one that is not a problem document with Retry-After. */
function rejections(exchanges: Exchange[]): Exchange[] {
  const failed = failures(exchanges);
  const others = failed.filter(
    ({ status, head }) =>
      status !== 503 || !/\r\nretry-after: /i.test(head) || !/\r\ncontent-type: application\/problem\+json/i.test(head),
  );
  if (others.length > 0) throw new Error(`not the services' own 503: ${describe(others)}`);
  if (failed.length === 0) throw new Error('no request failed: the database was available');
  return failed;
}

async function readyReplicasOf(name: string): Promise<string> {
  return kubectl(['get', `deployment/${name}`, '--output', 'jsonpath={.status.readyReplicas}']);
}

export async function evictPods(): Promise<string> {
  const results: string[] = [];
  for (const service of services) {
    for (const { metadata } of await podsOf(service)) {
      const { name } = metadata;
      const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } };
      const path = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`;
      const message = await kubectl(['create', '--raw', path, '--filename', '-'], eviction).then(
        () => undefined,
        (error: unknown) => (error as Error).message,
      );
      if (message?.includes('disruption budget') === false) throw new Error(message);
      results.push(message === undefined ? 'evicted' : 'rejected');
    }
    await untilRolledOut([service]);
  }
  const measured = results.join(', ');
  if (measured !== 'evicted, rejected, evicted, rejected') throw new Error(measured);
  return measured;
}

export async function rollOutBrokenImage(): Promise<string> {
  const [name = ''] = services;
  await kubectl(['set', 'image', `deployment/${name}`, `${name}=${name}:does-not-exist`]);
  const rollout = await untilRolledOut([name], 15).then(
    () => 'rolled out',
    () => 'stalled',
  );
  const ready = await readyReplicasOf(name);
  await kubectl(['rollout', 'undo', `deployment/${name}`]);
  await untilRolledOut([name]);
  const measured = `${rollout} with ${ready} ready`;
  if (measured !== 'stalled with 2 ready') throw new Error(measured);
  return measured;
}

/** More than two pods of each service have CPU for: the autoscaler's limit is 80 % of the 100m that each requests. */
const busyRate = 900;

export async function autoscale(url: string): Promise<string> {
  await apply(await readManifests('production/autoscaler.yaml'));
  const startedAt = Date.now();
  const elapsed = () => `${((Date.now() - startedAt) / 1000).toFixed(0)} s`;
  let max = 0;
  const isScaledUp = async () => {
    const replicas = await replicasOfBoth();
    max = Math.max(max, ...replicas);
    return replicas.every((each) => each > 2);
  };
  const isScaledDown = async () => (await replicasOfBoth()).every((each) => each === 2);
  const scaleUp = async () => {
    await until(isScaledUp, { timeoutMs: 180_000, intervalMs: 500 });
    await applyBaseAgain();
    if (!(await isScaledUp())) throw new Error(`scaled to ${String(await replicasOfBoth())} by the base`);
  };
  const exchanges = await loadWhile(url, scaleUp, busyRate);
  const up = elapsed();
  await until(isScaledDown, { timeoutMs: 300_000, intervalMs: 500 });
  await kubectl(['delete', 'horizontalpodautoscaler', '--all']);
  const failed = failures(exchanges).length;
  const rows = await compareRows(exchanges);
  const summary = `up to ${max} after ${up}, 2 again after ${elapsed()}, ${failed} failed of ${rows}`;
  if (failed > 0) throw new Error(summary);
  return summary;
}

/** The policy of the autoscaler rejects it. */
async function applyBaseAgain(): Promise<void> {
  for (const name of services) {
    const message = await apply(await readManifests(`${name}.yaml`)).catch(String);
    if (!message?.includes('the autoscaler sets the replicas')) throw new Error(`applied again: ${String(message)}`);
  }
}

async function replicasOfBoth(): Promise<number[]> {
  const names = services.map((name) => `deployment/${name}`);
  const replicas = await kubectl(['get', ...names, '--output', 'jsonpath={.items[*].spec.replicas}']);
  return replicas.split(' ').map(Number);
}

/** Compares acknowledged requests with rows of the database. Throws when a row is missing or duplicated. */
export async function compareRows(exchanges: Exchange[]): Promise<string> {
  const [run = ''] = exchanges.flatMap(({ mark }) => mark?.split('-')[0] ?? []);
  const rows = await query(
    `select title from task_service.tasks where title like '${run}-%' union all
     select email from user_service.users where email like '${run}-%'`,
  );
  const stored = new Set(rows);
  const acknowledged = exchanges.filter(({ status, mark }) => status === 201 && mark !== undefined);
  const lost = acknowledged.filter(({ mark = '' }) => !stored.has(mark)).length;
  const duplicated = rows.length - stored.size;
  const ends = exchanges.map(({ endedAt }) => endedAt);
  const seconds = (Math.max(...ends) - Math.min(...exchanges.map(({ startedAt }) => startedAt))) / 1000;
  const rate = `${exchanges.length} (${(exchanges.length / seconds).toFixed(0)}/s)`;
  const summary = `${rate}, ${acknowledged.length} acknowledged, ${lost} lost, ${duplicated} duplicated`;
  if (lost + duplicated > 0) throw new Error(summary);
  return summary;
}

function failures(exchanges: Exchange[]): Exchange[] {
  return exchanges.filter(({ status }) => status === 0 || status >= 400);
}

/** Each kind of failure, with its count. */
function describe(failed: Exchange[]): string {
  const counts = new Map<string, number>();
  for (const { method, path, status, head, body } of failed) {
    const operation = `${method} ${path.split(/[?]|\/[0-9a-f]{8}-/)[0] ?? ''}`;
    const kind = `${operation}: ${status || head} ${body.slice(0, 120).trim()}`;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => `${count} × ${kind}`).join(', ');
}
