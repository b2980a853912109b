/** The manifests on a live cluster: what `kubectl` points to, through `kubectl`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import { services } from '@task-manager/dev/repository';
import { root } from '@task-manager/dev/repository';

/** Where the manifests are applied for a test, so that it meets nothing else that runs in the cluster. */
export const namespace = 'task-manager-e2e';
/** The name that the Ingress has there: every client takes it for this machine. */
export const host = 'localhost';
/** The tag of the images that are tried. */
export const tag = 'e2e';
/** Where PostgreSQL's data is on the node. */
export const folder = `/mnt/data/${namespace}`;
const nodeNamespace = `${namespace}-node`;

/** Runs kubectl, in the test's namespace unless told otherwise, and gives what it printed. Throws when it fails. */
export async function kubectl(options: string[], input?: object): Promise<string> {
  const command = ['--namespace', namespace, ...options];
  const child = spawn('kubectl', command, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input && JSON.stringify(input));
  const closed = once(child, 'close') as Promise<[number | null]>;
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  if (code !== 0) throw new Error(`kubectl ${options.join(' ')}: ${errors.trim() || output.trim()}`);
  return output.trim();
}

/** What a file of manifests holds, as it is applied for the test. */
export async function manifestsIn(path: string): Promise<Manifest[]> {
  const documents = parseAllDocuments(await readFile(join(root, 'kubernetes', path), 'utf8'));
  return documents.map((document) => movedHere(document.toJS() as Manifest));
}

/** The base, file by file, in the order of their names. */
export async function readBase(): Promise<Manifest[][]> {
  const files = (await readdir(join(root, 'kubernetes'))).filter((file) => file.endsWith('.yaml'));
  return Promise.all(files.sort().map(manifestsIn));
}

export async function apply(manifests: Manifest[], into = namespace): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: manifests };
  await kubectl(['--namespace', into, 'apply', '--filename', '-'], list);
}

/** Waits until each pod of these deployments is ready, and none is left of an older rollout. Throws when it takes longer. */
export async function untilRolledOut(deployments: string[], timeoutSeconds = 120): Promise<void> {
  for (const name of deployments) {
    await kubectl(['rollout', 'status', `deployment/${name}`, `--timeout=${timeoutSeconds}s`]);
  }
}

export async function podsOf(name: string): Promise<Pod[]> {
  const list = await kubectl(['get', 'pods', '--selector', `app.kubernetes.io/name=${name}`, '--output', 'json']);
  return (JSON.parse(list) as { items: Pod[] }).items.filter(({ metadata }) => !metadata.deletionTimestamp);
}

/** What a role of PostgreSQL gets for a statement, a line for each row. Throws when it is refused. */
export async function query(sql: string, role = 'postgres'): Promise<string[]> {
  const options = ['--host=127.0.0.1', `--username=${role}`, '--dbname=task_manager', '--no-align', '--tuples-only'];
  const output = await kubectl(['exec', 'deployment/postgres', '--', 'psql', ...options, '--command', sql]);
  return output.split('\n').filter(Boolean);
}

/** Makes the namespaces, and on the node the folder of PostgreSQL. */
export async function makeRoom(): Promise<void> {
  const enforced = {
    'pod-security.kubernetes.io/enforce': 'restricted',
    'pod-security.kubernetes.io/warn': 'restricted',
  };
  await apply([
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: enforced } },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: nodeNamespace } },
  ]);
  await apply([nodePod], nodeNamespace);
  await kubectl(['--namespace', nodeNamespace, 'wait', 'pod/node', '--for=condition=Ready', '--timeout=60s']);
  await emptyFolder();
}

/** Removes all that `makeRoom` and the manifests have made, also of a run that was cut short. */
export async function clear(): Promise<void> {
  const options = ['--ignore-not-found', '--timeout=120s'];
  await kubectl(['delete', 'namespace', namespace, ...options]);
  await onNode(`rm -rf ${folder} ${folder}.saved`).catch(() => undefined);
  await kubectl(['delete', 'namespace', nodeNamespace, ...options, '--grace-period=1']);
  await kubectl(['delete', 'persistentvolume', namespace, ...options]);
}

/** As the README says for the base, with nothing in it. */
export async function emptyFolder(): Promise<void> {
  await onNode(`rm -rf ${folder} && mkdir -p ${folder} && chown 1000:1000 ${folder}`);
}

/** Runs a line of shell as root on the node, which sees all of its processes. */
export async function onNode(line: string): Promise<string> {
  return kubectl(['--namespace', nodeNamespace, 'exec', 'node', '--', 'sh', '-ec', line]);
}

/** Looks twice a second until it is so. Throws when it takes longer. */
export async function until(condition: () => Promise<boolean>, timeoutSeconds: number): Promise<void> {
  const deadline = Date.now() + timeoutSeconds * 1000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not so within ${timeoutSeconds} s: ${String(condition)}`);
    await sleep(500);
  }
}

/** Does on the node what the README has done there by hand. */
const nodePod: Manifest = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'node' },
  spec: {
    hostPID: true,
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'node',
        image: `task-service:${tag}`,
        imagePullPolicy: 'IfNotPresent',
        command: ['sleep', 'infinity'],
        securityContext: { privileged: true, runAsUser: 0 },
        volumeMounts: [{ name: 'data', mountPath: '/mnt/data' }],
      },
    ],
    volumes: [{ name: 'data', hostPath: { path: '/mnt/data', type: 'DirectoryOrCreate' } }],
  },
};

/** The same manifest, but for what the whole cluster has only once (the volume, its folder, the Ingress's name) and the images' tag. */
function movedHere(manifest: Manifest): Manifest {
  const moved = JSON.parse(
    JSON.stringify(manifest).replaceAll(RegExp(`"((?:${services.join('|')})):[^"]+"`, 'g'), `"$1:${tag}"`),
  ) as Manifest;
  const { kind, spec = {} } = moved;
  if (kind === 'PersistentVolume') {
    moved.metadata.name = namespace;
    spec.hostPath = { ...(spec.hostPath as object), path: folder };
  }
  if (kind === 'PersistentVolumeClaim' && spec.volumeName) spec.volumeName = namespace;
  if (kind === 'Ingress') spec.rules = (spec.rules as object[]).map((rule) => ({ ...rule, host }));
  return moved;
}

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  spec?: Record<string, unknown>;
}

export interface Pod {
  metadata: { name: string; deletionTimestamp?: string };
  status: { containerStatuses: { containerID: string; restartCount: number }[] };
}
