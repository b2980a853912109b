/** What a cluster does to pods, while requests come in. */
import { setTimeout as sleep } from 'node:timers/promises';
import { services } from '@task-manager/dev/repository';
import * as cluster from './cluster.ts';
import { apply, kubectl, podsOf, query, until, untilRolledOut } from './cluster.ts';
import { loadWhile, type Answer, type Target } from './load.ts';

/** None may fail while something is done to the cluster, and no row be lost or doubled. */
export async function underLoad(target: Target, act: () => Promise<string>): Promise<string> {
  let done = '';
  const answers = await loadWhile(target, async () => (done = await act()));
  const failed = failures(answers);
  const summary = `${await countRows(answers)}${done && `; ${done}`}`;
  if (failed.length > 0) throw new Error(`${failed.length} failed (${describe(failed)}) of ${summary}`);
  return `0 failed of ${summary}`;
}

export async function restartBoth(): Promise<string> {
  const minute = sleep(54_000);
  await kubectl(['rollout', 'restart', ...services.map((name) => `deployment/${name}`)]);
  await untilRolledOut(services);
  await minute;
  return '';
}

export async function scaleBoth(): Promise<string> {
  for (const replicas of [4, 1, 2]) {
    await kubectl(['scale', `--replicas=${replicas}`, ...services.map((name) => `deployment/${name}`)]);
    await untilRolledOut(services);
    // Until those that go have gone.
    await sleep(8000);
  }
  return '';
}

export async function deletePods(): Promise<string> {
  for (const name of services) {
    const [pod] = await podsOf(name);
    await kubectl(['delete', 'pod', pod?.metadata.name ?? '', '--wait=false']);
    await sleep(1000);
    await untilRolledOut([name]);
  }
  // Until those that go have gone.
  await sleep(8000);
  return '';
}

export async function killContainers(target: Target): Promise<string> {
  const kills: { from: number; to: number }[] = [];
  const answers = await loadWhile(target, async () => {
    for (const name of services) {
      kills.push(await killContainer(name));
      await sleep(5000);
      await untilRolledOut([name]);
    }
  });
  const failed = failures(answers);
  const underWay = (answer: Answer) => kills.some(({ from, to }) => answer.startedAt <= to && answer.endedAt >= from);
  const others = failed.filter((answer) => !underWay(answer));
  const summary = `${failed.length} failed of ${await countRows(answers)}`;
  if (others.length > 0) throw new Error(`${summary}; not under way at a kill: ${describe(others)}`);
  return `${summary}; ${answers.filter(underWay).length} were under way`;
}

/** Ends the process of one pod's container, as a kernel short of memory would. Says between which times it died. */
async function killContainer(name: string): Promise<{ from: number; to: number }> {
  const [pod] = await podsOf(name);
  const id = pod?.status.containerStatuses[0]?.containerID.replace(/^.*:\/\//, '') ?? '';
  const find = `pid=$(grep -ls '${id}' /proc/[0-9]*/cgroup | cut -d/ -f3)`;
  const kill = `date +%s%3N; kill -9 $pid; while kill -0 $pid 2> /dev/null; do :; done; date +%s%3N`;
  const [from = NaN, to = NaN] = (await cluster.onNode(`${find}; ${kill}`)).split('\n').map(Number);
  await until(async () => {
    const now = (await podsOf(name)).find(({ metadata }) => metadata.name === pod?.metadata.name);
    return now?.status.containerStatuses[0]?.restartCount === 1;
  }, 30);
  return { from, to };
}

export async function deletePostgres(target: Target): Promise<string> {
  let deletedAt = 0;
  const answers = await loadWhile(target, async () => {
    const [pod] = await podsOf('postgres');
    deletedAt = Date.now();
    await kubectl(['delete', 'pod', pod?.metadata.name ?? '', '--wait=false']);
    await sleep(1000);
    await untilRolledOut(['postgres']);
    await sleep(2000);
  });
  const failed = onlyOurProblems(answers);
  const seconds = (Math.max(...failed.map(({ endedAt }) => endedAt)) - deletedAt) / 1000;
  const slowestMs = Math.max(...answers.map(({ startedAt, endedAt }) => endedAt - startedAt));
  const summary = `${failed.length} times 503, back after ${seconds.toFixed(1)} s, slowest answer ${slowestMs} ms; ${await countRows(answers)}`;
  if (seconds > 10) throw new Error(summary);
  return summary;
}

/** Clients must meet the services' own problem, not the Ingress's page: the pods stay ready for a while. */
export async function takeDatabaseAway(target: Target): Promise<string> {
  let ready: string[] = [];
  const answers = await loadWhile(target, async () => {
    await kubectl(['scale', '--replicas=0', 'deployment/postgres']);
    await sleep(20_000);
    ready = await Promise.all(services.map(readyReplicasOf));
    await kubectl(['scale', '--replicas=1', 'deployment/postgres']);
    await untilRolledOut(['postgres']);
  });
  const failed = onlyOurProblems(answers);
  const summary = `${failed.length} times 503, ready meanwhile ${ready.join(' and ')}; ${await countRows(answers)}`;
  if (ready.some((count) => count !== '2')) throw new Error(summary);
  return summary;
}

/** What failed. Throws when nothing did, or something otherwise than by a problem that says when to come again. */
function onlyOurProblems(answers: Answer[]): Answer[] {
  const failed = failures(answers);
  const others = failed.filter(
    ({ status, headers }) =>
      status !== 503 ||
      headers['retry-after'] === undefined ||
      !headers['content-type']?.startsWith('application/problem+json'),
  );
  if (others.length > 0) throw new Error(`not our 503: ${describe(others)}`);
  if (failed.length === 0) throw new Error('nothing failed: the database was not away');
  return failed;
}

async function readyReplicasOf(name: string): Promise<string> {
  return kubectl(['get', `deployment/${name}`, '--output', 'jsonpath={.status.readyReplicas}']);
}

export async function refuseEviction(): Promise<string> {
  const results: string[] = [];
  for (const name of services) {
    const pods = await podsOf(name);
    for (const { metadata } of pods) {
      const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: metadata.name } };
      const path = `/api/v1/namespaces/${cluster.namespace}/pods/${metadata.name}/eviction`;
      const result = await kubectl(['create', '--raw', path, '--filename', '-'], eviction).then(
        () => 'evicted',
        (error: unknown) => {
          if (!(error as Error).message.includes('disruption budget')) throw error;
          return 'refused';
        },
      );
      results.push(result);
    }
    await untilRolledOut([name]);
  }
  const measured = results.join(', ');
  if (measured !== 'evicted, refused, evicted, refused') throw new Error(measured);
  return measured;
}

export async function rollOutBrokenImage(): Promise<string> {
  const [name = ''] = services;
  await kubectl(['set', 'image', `deployment/${name}`, `${name}=${name}:there-is-none`]);
  const stalled = await untilRolledOut([name], 15).catch(() => 'stalled');
  const ready = await readyReplicasOf(name);
  await kubectl(['rollout', 'undo', `deployment/${name}`]);
  await untilRolledOut([name]);
  if (stalled !== 'stalled' || ready !== '2') throw new Error(`${stalled ?? 'rolled out'}, ${ready} ready`);
  return 'stalled with 2 ready';
}

/** More than two pods of each service have CPU for, as the autoscaler counts it: 80 % of the 100m that each asks for. */
const busyPerSecond = 900;

export async function scaleByLoad(target: Target): Promise<string> {
  await apply(await cluster.manifestsIn('production/autoscaler.yaml'));
  const startedAt = Date.now();
  const since = () => `${((Date.now() - startedAt) / 1000).toFixed(0)} s`;
  let most = 0;
  const scaledUp = async () => {
    const replicas = await replicasOf(services);
    most = Math.max(most, ...replicas);
    return replicas.every((each) => each > 2);
  };
  const answers = await loadWhile(target, () => until(scaledUp, 180), busyPerSecond);
  const up = since();
  await until(async () => (await replicasOf(services)).every((each) => each === 2), 300);
  await kubectl(['delete', 'horizontalpodautoscaler', '--all']);
  const failed = failures(answers).length;
  const summary = `up to ${most} after ${up}, 2 again after ${since()}, ${failed} failed of ${await countRows(answers)}`;
  if (failed > 0) throw new Error(summary);
  return summary;
}

async function replicasOf(deployments: readonly string[]): Promise<number[]> {
  const path = 'jsonpath={.items[*].spec.replicas}';
  const names = deployments.map((name) => `deployment/${name}`);
  return (await kubectl(['get', ...names, '--output', path])).split(' ').map(Number);
}

/** Compares what was acknowledged with the rows of the database. Throws when one is missing, or there twice. */
async function countRows(answers: Answer[]): Promise<string> {
  const posted = answers.filter(({ mark }) => mark !== undefined);
  const [first = ''] = posted.map(({ mark = '' }) => mark.split('-')[0]);
  const marks = await query(
    `select title from task_service.tasks where title like '${first}-%' union all select email from user_service.users where email like '${first}-%'`,
  );
  const counts = new Map<string, number>();
  for (const mark of marks) counts.set(mark, (counts.get(mark) ?? 0) + 1);
  const acknowledged = posted.filter(({ status }) => status === 201);
  const lost = acknowledged.filter(({ mark = '' }) => !counts.has(mark)).length;
  const doubled = [...counts.values()].filter((count) => count > 1).length;
  const seconds = (Math.max(...answers.map((a) => a.endedAt)) - Math.min(...answers.map((a) => a.startedAt))) / 1000;
  const rate = (answers.length / seconds).toFixed(0);
  const summary = `${answers.length} (${rate}/s), ${acknowledged.length} acknowledged, ${lost} lost, ${doubled} doubled`;
  if (lost + doubled > 0) throw new Error(summary);
  return summary;
}

function failures(answers: Answer[]): Answer[] {
  return answers.filter(({ status }) => status === 0 || status >= 400);
}

/** How they failed, each way once, with how often. */
function describe(failed: Answer[]): string {
  const ways = new Map<string, number>();
  for (const { method, path, status, text } of failed) {
    const way = `${method} ${path.split(/[?]|\/[0-9a-f]{8}-/)[0] ?? ''}: ${status || 'no answer'} ${text.slice(0, 120).trim()}`;
    ways.set(way, (ways.get(way) ?? 0) + 1);
  }
  return [...ways].map(([way, count]) => `${count} × ${way}`).join(', ');
}
