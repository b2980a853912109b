/**
 * `npm run e2e:kubernetes`: builds the images, applies the manifests to the cluster that `kubectl` points to, in namespaces
 * of its own, and proves what they promise while requests come in. It takes about ten minutes, prints a table, and removes
 * what it has made. For a cluster of one node, with an Ingress controller of class `nginx`, NetworkPolicies and metrics.
 *
 * The images come into kind, minikube and Docker Desktop by themselves. For any other cluster set `IMAGE_COMMAND`: it is
 * called with `NAME:TAG CONTEXT` and options of `docker build`, builds the image, and makes it known to the nodes.
 *
 * `npm run e2e:kubernetes -- restart` proves only what has this in its name, once everything runs.
 *
 * Exits with 1 when a promise was not kept, or, with one line on standard error, when the cluster cannot be used.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { services } from '@task-manager/dev/repository';
import { root } from '@task-manager/dev/repository';
import { runToEnd } from '@task-manager/dev/command';
import { rehearseRestore } from './backup.ts';
import { demo, fuzz, run, showDocs } from './clients.ts';
import * as cluster from './cluster.ts';
import { apply, kubectl, untilRolledOut } from './cluster.ts';
import * as faults from './faults.ts';
import { ask, type Target } from './load.ts';
import { enforceRestricted, lookIntoPostgres, tryNetwork } from './permissions.ts';

interface Row {
  name: string;
  target: string;
  measured: string;
  seconds: number;
  kept: boolean;
}

const rows: Row[] = [];
const [wanted = ''] = process.argv.slice(2);

await runToEnd('npm run e2e:kubernetes', async (stopped) => {
  await refuseWhatCannotBeUsed();
  console.log(`On ${await kubectl(['config', 'current-context'])}, in the namespace ${cluster.namespace}`);
  await cluster.clear();
  try {
    await proveAll(stopped);
  } finally {
    report();
    console.log('Removing what was made …');
    await cluster.clear();
  }
});

async function proveAll(stopped: AbortSignal): Promise<void> {
  // Nothing can be said of what cannot be built or deployed, or of older images under the same tag.
  const foundations: Scenes = [
    ['images from services/Dockerfile', 'both', buildImages],
    ['manifests as they are', 'admitted by the API server', admitAsTheyAre],
    ['applied file by file, backwards', 'ready in 60 s', deploy],
  ];
  for (const [name, promised, scene] of foundations) if (!(await prove(name, promised, scene))) return;
  for (const [name, promised, scene] of scenes(await findIngress())) {
    if (name.includes(wanted) && !stopped.aborted) await prove(name, promised, scene);
  }
}

type Scene = () => Promise<string>;
type Scenes = [name: string, target: string, scene: Scene][];

/** What is proved, in this order: each leaves the system as it was, with both services at two replicas. */
function scenes(target: Target): Scenes {
  return [
    ['Pod Security restricted', 'every pod admitted, others not', enforceRestricted],
    ['roles and disk of PostgreSQL', 'own schema only, durable', lookIntoPostgres],
    ['demo through the Ingress', 'every answer right', async () => demo(target)],
    ['docs in Chromium', 'every operation shown, no error', async () => showDocs(target)],
    ['fuzz through the Ingress', '0 failures', async () => fuzz(target)],
    ['rolling restart of both', '0 failed, lost, doubled', async () => faults.underLoad(target, faults.restartBoth)],
    ['scale 2, 4, 1, 2', '0 failed, lost, doubled', async () => faults.underLoad(target, faults.scaleBoth)],
    ['a pod of each deleted', '0 failed, lost, doubled', async () => faults.underLoad(target, faults.deletePods)],
    ['a container of each killed', 'no more than were under way', async () => faults.killContainers(target)],
    ['PostgreSQL pod deleted', '503 problems, back in 10 s, all there', async () => faults.deletePostgres(target)],
    ['PostgreSQL away for 20 s', '503 problems, pods ready', async () => faults.takeDatabaseAway(target)],
    ['eviction beyond the budget', 'refused', faults.refuseEviction],
    ['a broken image', 'stalls, 0 failed, undone', async () => faults.underLoad(target, faults.rollOutBrokenImage)],
    ['NetworkPolicies', 'what is listed passes, nothing else', tryNetwork],
    ['backup, destroy, restore', 'every row is back', async () => rehearseRestore(target)],
    ['HorizontalPodAutoscaler', 'more than 2, and 2 again', async () => faults.scaleByLoad(target)],
  ];
}

/** Runs a scene, prints how it ended, and gives whether it kept its promise. */
async function prove(name: string, target: string, scene: Scene): Promise<boolean> {
  console.log(`\n== ${name} …`);
  const startedAt = Date.now();
  const [kept, measured] = await scene().then(
    (shown): [boolean, string] => [true, shown],
    (error: unknown): [boolean, string] => [false, (error as Error).message],
  );
  const seconds = (Date.now() - startedAt) / 1000;
  rows.push({ name, target, measured, seconds, kept });
  console.log(`== ${kept ? 'ok' : 'FAILED'}: ${measured} (${seconds.toFixed(1)} s)`);
  return kept;
}

function report(): void {
  const cells = rows.map(({ name, target, measured, seconds, kept }) => [
    kept ? 'ok' : 'FAILED',
    ...[name, target, `${seconds.toFixed(1)} s`, measured.split('\n')[0] ?? ''],
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  console.log('');
  for (const row of cells) {
    const line = row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
    console.log(line.trimEnd());
  }
  const failed = rows.filter(({ kept }) => !kept).length;
  console.log(`\n${rows.length - failed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

async function refuseWhatCannotBeUsed(): Promise<void> {
  const names = scenes({ address: '', port: 0, host: '' }).map(([name]) => name);
  if (!names.some((name) => name.includes(wanted))) throw new Error(`"${wanted}" is in none of: ${names.join('; ')}`);
  const nodes = await kubectl(['get', 'nodes', '--output', 'name', '--request-timeout=10s']).catch((error: unknown) => {
    throw new Error(`kubectl reaches no cluster (${(error as Error).message.split('\n').at(-1) ?? ''})`);
  });
  if (nodes.split('\n').length > 1)
    throw new Error('the volume of the base is for a cluster of one node, this has more');
  await kubectl(['get', 'ingressclass', 'nginx']).catch(() => {
    throw new Error('the cluster has no Ingress controller of class nginx: see README.md, "Deploy it"');
  });
}

async function buildImages(): Promise<string> {
  const command = imageCommand(await kubectl(['config', 'current-context']));
  for (const service of services) {
    const options = ['--file', 'services/Dockerfile', '--build-arg', `SERVICE=${service}`];
    await run('bash', ['-c', command, 'bash', `${service}:${cluster.tag}`, '.', ...options]);
  }
  return services.join(', ');
}

/** A line of bash that builds the image `$1` from the rest, and brings it to the cluster of this context. */
function imageCommand(context: string): string {
  const { IMAGE_COMMAND } = process.env;
  const build = 'docker build --tag "$1" "${@:2}"';
  if (IMAGE_COMMAND !== undefined) return `${IMAGE_COMMAND} "$@"`;
  if (context === 'docker-desktop') return build;
  if (context === 'minikube') return `${build} && minikube image load "$1"`;
  if (context.startsWith('kind-')) return `${build} && kind load docker-image "$1" --name "${context.slice(5)}"`;
  throw new Error(`set IMAGE_COMMAND: how does an image come to ${context}?`);
}

async function admitAsTheyAre(): Promise<string> {
  // In the namespace default, as the README does; nothing of it is kept.
  const options = ['--namespace=default', 'apply', '--dry-run=server', '--filename', join(root, 'kubernetes')];
  return `${(await kubectl(options)).split('\n').length} objects`;
}

async function deploy(): Promise<string> {
  await cluster.makeRoom();
  const startedAt = Date.now();
  const files = await cluster.readBase();
  for (const manifests of files.toReversed()) await apply(manifests);
  await untilRolledOut(['postgres', ...services]);
  const seconds = (Date.now() - startedAt) / 1000;
  if (seconds > 60) throw new Error(`ready after ${seconds.toFixed(1)} s`);
  return `ready after ${seconds.toFixed(1)} s`;
}

/** Where the Ingress can be reached from here: at its own address, at the node's, or at a port of this machine. */
async function findIngress(): Promise<Target> {
  const addresses = await Promise.all([
    kubectl(['get', 'ingress', '--output', 'jsonpath={.items[*].status.loadBalancer.ingress[*].ip}']),
    kubectl(['get', 'nodes', '--output', 'jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}']),
  ]);
  const candidates = [...addresses.flatMap((each) => each.split(' ')).filter(Boolean), '127.0.0.1'];
  for (let attempt = 0; attempt < 30; attempt++) {
    for (const address of candidates) {
      const target = { address, port: 80, host: cluster.host };
      const { status } = await ask(target, { path: '/health' }).catch(() => ({ status: 0 }));
      if (status === 200) return target;
    }
    await sleep(1000);
  }
  throw new Error(`the Ingress answers at none of ${candidates.join(', ')}`);
}
