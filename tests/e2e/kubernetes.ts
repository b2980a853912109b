/**
 * `npm run e2e:kubernetes [-- NAME | --write]`: builds the images, applies the manifests to the cluster that `kubectl` points to, in
 * namespaces of its own, and checks what they promise under load. It takes about ten minutes, prints a table, and removes
 * what it has created. NAME selects the checks that have it in their name: `restart`; `--write` writes the table of a whole
 * run into kubernetes/e2e-results.md. The cluster needs one node, an Ingress controller of class `nginx`, NetworkPolicies
 * and metrics.
 *
 * kind, minikube and Docker Desktop receive the images automatically. For any other cluster set `IMAGE_COMMAND`: it is
 * called with `NAME:TAG CONTEXT` and options of `docker build`, builds the image, and makes it available to the nodes.
 *
 * Exits with 1 when a check fails or, with one line on standard error, when the cluster cannot be used.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { runToEnd } from '@task-manager/dev/command';
import { root, services } from '@task-manager/dev/repository';
import { openFaultProxy, type FaultProxy } from '@task-manager/testing/fault-proxy';
import { alignedTable, writeTable } from '@task-manager/testing/tables';
import { moveVolume, rehearseRestore } from './backup.ts';
import { fuzz, runAndShow, runDemo, showDocs } from './clients.ts';
import { apply, clear, kubectl, namespace, NotRun, prepare, readBase, tag, query, untilRolledOut } from './cluster.ts';
import * as faults from './faults.ts';
import { checkNetworkPolicies, enforcePodSecurity, inspectPostgres } from './permissions.ts';

type Check = [name: string, target: string, check: () => Promise<string>];

const { values, positionals } = parseArgs({ options: { write: { type: 'boolean' } }, allowPositionals: true });
const [wanted = ''] = positionals;
const rows = [['', 'check', 'target', 'time', 'measured']];
const counts = { ok: 0, FAILED: 0, 'not run': 0 };

await runToEnd('npm run e2e:kubernetes', async (stopped) => {
  await checkPrerequisites();
  console.log(`On ${await kubectl(['config', 'current-context'])}, in the namespace ${namespace}`);
  await clear();
  let ingress: FaultProxy | undefined;
  try {
    // The other checks need these.
    if (!(await perform(['images from services/Dockerfile', 'both', buildImages]))) return;
    if (!(await perform(['manifests unchanged', 'admitted by the API server', admitUnchanged]))) return;
    if (!(await perform(['applied file by file, backwards', 'ready in 60 s', deploy]))) return;
    ingress = await openIngress();
    for (const check of checksOf(`http://localhost:${ingress.port}`)) {
      if (check[0].includes(wanted) && !stopped.aborted) await perform(check);
    }
    if (values.write && !stopped.aborted) await writeResults();
  } finally {
    const skipped = counts['not run'] ? `, ${counts['not run']} skipped` : '';
    console.log(`\n${alignedTable(rows)}\n\n${counts.ok} passed, ${counts.FAILED} failed${skipped}`);
    if (counts.FAILED > 0) process.exitCode = 1;
    console.log('Removing what was created …');
    await ingress?.close();
    await clear();
  }
});

/** Each leaves the system as it was, with two replicas of both services. */
function checksOf(url: string): Check[] {
  const during = (act: () => Promise<string | undefined>) => async () => faults.withoutFailures(url, act);
  return [
    ['Pod Security restricted', 'every pod admitted, others not', enforcePodSecurity],
    ['roles and durability of PostgreSQL', 'own schema only, durable', inspectPostgres],
    ['demo through the Ingress', 'every response right', async () => runDemo(url)],
    ['docs in Chromium', 'every operation shown, no error', async () => showDocs(url)],
    ['fuzz through the Ingress', '0 failures', async () => fuzz(url)],
    ['rolling restart of both', '0 failed, lost, duplicated', during(faults.restartBoth)],
    ['scale 2, 4, 1, 2', '0 failed, lost, duplicated', during(faults.scaleBoth)],
    ['password of each changed', '0 failed, lost, duplicated', during(faults.changePasswords)],
    ['a pod of each deleted', '0 failed, lost, duplicated', during(faults.deletePods)],
    ['a container of each killed', 'no more failures than pending', async () => faults.killContainers(url)],
    ['PostgreSQL pod deleted', '503 problems, recovered in 10 s', async () => faults.deletePostgres(url)],
    ['PostgreSQL unavailable for 20 s', '503 problems, pods ready', async () => faults.removeDatabase(url)],
    ['eviction beyond the budget', 'rejected', faults.evictPods],
    ['a broken image', 'stalls, 0 failed, undone', during(faults.rollOutBrokenImage)],
    ['NetworkPolicies', 'only allowed connections', checkNetworkPolicies],
    ['backup, destroy, restore', 'every row restored', async () => rehearseRestore(url)],
    ['volume moved to a StorageClass', '0 lost, duplicated', async () => moveVolume(url)],
    ['HorizontalPodAutoscaler', 'more than 2, base rejected, 2 again', async () => faults.autoscale(url)],
  ];
}

async function perform([name, target, check]: Check): Promise<boolean> {
  console.log(`\n== ${name} …`);
  const startedAt = performance.now();
  const [verdict, measured] = await check().then(
    (result) => ['ok', result] as const,
    (error: unknown) => [error instanceof NotRun ? 'not run' : 'FAILED', (error as Error).message] as const,
  );
  const time = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
  rows.push([verdict, name, target, time, measured.split('\n')[0] ?? '']);
  console.log(`== ${verdict}: ${measured} (${time})`);
  counts[verdict]++;
  return verdict === 'ok';
}

async function writeResults(): Promise<void> {
  const [, ...results] = rows;
  const seconds = results.reduce((sum, [, , , time = '']) => sum + parseFloat(time), 0);
  const node = '{.items[0].status.nodeInfo.kubeletVersion} on one node with {.items[0].status.capacity.cpu} cores';
  const [kubernetes, controller, [postgres = '']] = await Promise.all([
    kubectl(['get', 'nodes', '--output', `jsonpath=Kubernetes ${node}`]),
    kubectl(['get', 'ingressclass', 'nginx', '--output', 'jsonpath={.spec.controller}']),
    query('show server_version'),
  ]);
  const date = new Date().toISOString().slice(0, 10);
  await writeTable(
    join(root, 'kubernetes/e2e-results.md'),
    'npm run e2e:kubernetes',
    `${date}, in ${(seconds / 60).toFixed(0)} minutes, ${kubernetes}, Ingress controller ${controller}, PostgreSQL ${postgres}:`,
    ['---', '---', '---', '---:', '---'],
    [
      ['What', 'Promised', 'Measured', 'Took', ''],
      ...results.map(([verdict = '', name = '', target = '', time = '', measured = '']) => [
        ...[name, target, measured, time, { ok: 'kept', FAILED: 'missed' }[verdict] ?? verdict],
      ]),
    ],
  );
}

async function checkPrerequisites(): Promise<void> {
  if (values.write && wanted) throw new Error(`--write records a whole run: leave out "${wanted}"`);
  const names = checksOf('').map(([name]) => name);
  if (!names.some((name) => name.includes(wanted))) throw new Error(`"${wanted}" is in none of: ${names.join('; ')}`);
  const nodes = await kubectl(['get', 'nodes', '--output', 'name', '--request-timeout=10s']).catch((error: unknown) => {
    throw new Error(`kubectl reaches no cluster (${(error as Error).message.split('\n').at(-1) ?? ''})`);
  });
  if (nodes.includes('\n')) throw new Error('the cluster must have one node: the volume of the base is on a node');
  await kubectl(['get', 'ingressclass', 'nginx']).catch(() => {
    throw new Error('the cluster has no Ingress controller of class nginx: see README.md, "Deploy it"');
  });
}

async function buildImages(): Promise<string> {
  const command = imageCommand(await kubectl(['config', 'current-context']));
  for (const service of services) {
    const options = ['--file', 'services/Dockerfile', '--build-arg', `SERVICE=${service}`];
    await runAndShow('bash', ['-c', command, 'bash', `${service}:${tag}`, '.', ...options]);
  }
  return services.join(', ');
}

/** A line of bash that builds the image `$1` with the other arguments, and loads it into the cluster. */
function imageCommand(context: string): string {
  const { IMAGE_COMMAND } = process.env;
  const build = 'docker build --tag "$1" "${@:2}"';
  if (IMAGE_COMMAND !== undefined) return `${IMAGE_COMMAND} "$@"`;
  if (context === 'docker-desktop') return build;
  if (context === 'minikube') return `${build} && minikube image load "$1"`;
  if (context.startsWith('kind-')) return `${build} && kind load docker-image "$1" --name "${context.slice(5)}"`;
  throw new Error(`set IMAGE_COMMAND to a command that makes an image available to ${context}`);
}

/** In the namespace default, as in README.md, without creating anything. */
async function admitUnchanged(): Promise<string> {
  const options = ['--namespace=default', 'apply', '--dry-run=server', '--filename', join(root, 'kubernetes')];
  return `${(await kubectl(options)).split('\n').length} objects`;
}

async function deploy(): Promise<string> {
  await prepare();
  const startedAt = performance.now();
  const files = await readBase();
  for (const manifests of files.toReversed()) await apply(manifests);
  await untilRolledOut(['postgres', ...services]);
  const seconds = (performance.now() - startedAt) / 1000;
  if (seconds > 60) throw new Error(`ready after ${seconds.toFixed(1)} s`);
  return `ready after ${seconds.toFixed(1)} s`;
}

/** A local port that leads to the Ingress: clients need no Host header. Tries its address, the node's and this machine. */
async function openIngress(): Promise<FaultProxy> {
  const addresses = await Promise.all([
    kubectl(['get', 'ingress', '--output', 'jsonpath={.items[*].status.loadBalancer.ingress[*].ip}']),
    kubectl(['get', 'nodes', '--output', 'jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}']),
  ]);
  const candidates = [...addresses.flatMap((each) => each.split(' ')).filter(Boolean), '127.0.0.1'];
  for (let attempt = 0; attempt < 30; attempt++) {
    for (const address of candidates) {
      const proxy = await openFaultProxy(80, address);
      const init = { signal: AbortSignal.timeout(5000) };
      const response = await fetch(`http://localhost:${proxy.port}/health`, init).catch(() => undefined);
      if (response?.ok) return proxy;
      await proxy.close();
    }
    await sleep(1000);
  }
  throw new Error(`the Ingress responds at none of ${candidates.join(', ')}`);
}
