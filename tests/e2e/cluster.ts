/** The cluster that `kubectl` points to, with the manifests in namespaces of their own. */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { root, services } from '@task-manager/dev/repository';
import { runAndShow } from './clients.ts';

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

/** The cluster lacks what a check needs. */
export class NotRun extends Error {}

export const namespace = 'task-manager-e2e';
const nodeNamespace = `${namespace}-node`;
/** The tag of the images under test. */
export const tag = 'e2e';
/** PostgreSQL's data on the node. */
export const folder = `/mnt/data/${namespace}`;

/** Runs kubectl in the test's namespace, unless the options name another. Throws its message when it fails. */
export async function kubectl(options: string[], input?: object): Promise<string> {
  const running = promisify(execFile)('kubectl', ['--namespace', namespace, ...options], { maxBuffer: 64 * 2 ** 20 });
  running.child.stdin?.on('error', () => undefined).end(input && JSON.stringify(input));
  const { stdout } = await running.catch((error: unknown) => {
    const { stderr = '', stdout = '', message } = error as Error & { stderr?: string; stdout?: string };
    throw new Error(`kubectl ${options.join(' ')}: ${stderr.trim() || stdout.trim() || message}`);
  });
  return stdout.trim();
}

export async function apply(manifests: Manifest[], into = namespace): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: manifests };
  await kubectl(['--namespace', into, 'apply', '--filename', '-'], list);
}

/** The manifests of a file, adapted to the test. */
export async function readManifests(path: string): Promise<Manifest[]> {
  const documents = parseAllDocuments(await readFile(join(root, 'kubernetes', path), 'utf8'));
  return documents.map((document) => adapt(document.toJS() as Manifest));
}

/** The files of the base, in the order of their names. */
export async function readBase(): Promise<Manifest[][]> {
  const files = (await readdir(join(root, 'kubernetes'))).filter((file) => file.endsWith('.yaml'));
  return Promise.all(files.sort().map(readManifests));
}

/** Waits until every pod of these deployments is ready, and none is left of an older rollout. */
export async function untilRolledOut(deployments: string[], timeoutSeconds = 120): Promise<void> {
  for (const name of deployments) {
    await kubectl(['rollout', 'status', `deployment/${name}`, `--timeout=${timeoutSeconds}s`]);
  }
}

export async function scale(deployments: string[], replicas: number): Promise<void> {
  await kubectl(['scale', `--replicas=${replicas}`, ...deployments.map((name) => `deployment/${name}`)]);
  if (replicas > 0) await untilRolledOut(deployments);
}

/** Runs the commands in the comment at the top of a manifest as they are written, unless `adapted`. */
export async function follow(path: string, adapted = (commands: string) => commands): Promise<void> {
  const [head = ''] = (await readFile(join(root, 'kubernetes', path), 'utf8')).split(/^\w/m, 1);
  const commands = adapted((head.match(/(?<=^# {3}).*/gm) ?? []).join('\n'));
  const inNamespace = `kubectl() { command kubectl --namespace ${namespace} "$@"; }`;
  await runAndShow('bash', ['-euo', 'pipefail', '-c', `${inNamespace}\n${commands}`]);
}

export async function podsOf(name: string): Promise<Pod[]> {
  const list = await kubectl(['get', 'pods', '--selector', `app.kubernetes.io/name=${name}`, '--output', 'json']);
  return (JSON.parse(list) as { items: Pod[] }).items.filter(({ metadata }) => !metadata.deletionTimestamp);
}

/** Runs a statement as a role of PostgreSQL. Resolves with one line per row. */
export async function query(sql: string, role = 'postgres'): Promise<string[]> {
  const options = ['--host=127.0.0.1', `--username=${role}`, '--dbname=task_manager', '--no-align', '--tuples-only'];
  const output = await kubectl(['exec', 'deployment/postgres', '--', 'psql', ...options, '--command', sql]);
  return output.split('\n').filter(Boolean);
}

/** Creates the namespaces, and the folder of PostgreSQL on the node. */
export async function prepare(): Promise<void> {
  const modes = ['enforce', 'warn'].map((mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted']);
  const labels = Object.fromEntries(modes) as Record<string, string>;
  await apply([
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: nodeNamespace } },
  ]);
  await apply([nodePod], nodeNamespace);
  await kubectl(['--namespace', nodeNamespace, 'wait', 'pod/node', '--for=condition=Ready', '--timeout=60s']);
  await emptyFolder();
}

/** Removes everything that a run has created, even one that was interrupted. */
export async function clear(): Promise<void> {
  const options = ['--ignore-not-found', '--timeout=120s'];
  await kubectl(['delete', 'namespace', namespace, ...options]);
  await runOnNode(`rm -rf ${folder}`).catch(() => undefined);
  await kubectl(['delete', 'namespace', nodeNamespace, ...options, '--grace-period=1']);
  await kubectl(['delete', ...clusterWide.map((kind) => `${kind}/${namespace}`), ...options]);
}

/** As README.md says for the base. */
export async function emptyFolder(): Promise<void> {
  await runOnNode(`rm -rf ${folder} && mkdir -p ${folder} && chown 1000:1000 ${folder}`);
}

/** Runs a shell command as root on the node, where every process is visible. */
export async function runOnNode(line: string): Promise<string> {
  return kubectl(['--namespace', nodeNamespace, 'exec', 'node', '--', 'sh', '-ec', line]);
}

/** Does what README.md does by hand on the node. */
const nodePod: Manifest = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'node' },
  spec: {
    hostPID: true,
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        ...{ name: 'node', image: `task-service:${tag}`, imagePullPolicy: 'IfNotPresent' },
        command: ['sleep', 'infinity'],
        securityContext: { privileged: true, runAsUser: 0 },
        volumeMounts: [{ name: 'data', mountPath: '/mnt/data' }],
      },
    ],
    volumes: [{ name: 'data', hostPath: { path: '/mnt/data', type: 'DirectoryOrCreate' } }],
  },
};

const clusterWide = ['PersistentVolume', 'ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'];

/** Only what is unique in a cluster differs (these names, folder, host of the Ingress), and the tag of the images. */
function adapt(manifest: Manifest): Manifest {
  const images = RegExp(`"((?:${services.join('|')})):[^"]+"`, 'g');
  const adapted = JSON.parse(JSON.stringify(manifest).replaceAll(images, `"$1:${tag}"`)) as Manifest;
  const { kind, spec = {} } = adapted;
  if (clusterWide.includes(kind)) adapted.metadata.name = namespace;
  if (spec.policyName) spec.policyName = namespace;
  if (kind === 'PersistentVolume') spec.hostPath = { ...(spec.hostPath as object), path: folder };
  if (kind === 'PersistentVolumeClaim' && spec.volumeName) spec.volumeName = namespace;
  if (kind === 'Ingress') spec.rules = (spec.rules as object[]).map((rule) => ({ ...rule, host: 'localhost' }));
  return adapted;
}
