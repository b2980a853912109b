/** Who may do what: pods on the node, roles in the database, connections between pods. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as cluster from './cluster.ts';
import { apply, kubectl } from './cluster.ts';

export async function enforceRestricted(): Promise<string> {
  const pods = JSON.parse(await kubectl(['get', 'pods', '--output', 'json'])) as { items: unknown[] };
  const rude = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'rude' },
    spec: {
      containers: [{ name: 'rude', image: `task-service:${cluster.tag}`, securityContext: { privileged: true } }],
    },
  };
  const refusal = await apply([rude]).catch((error: unknown) => (error as Error).message);
  if (!refusal?.includes('violates PodSecurity')) throw new Error('a privileged pod was admitted');
  return `${pods.items.length} pods admitted, a privileged one refused`;
}

/** Each role reaches its own schema, and nothing else; and what is committed is on the disk. */
export async function lookIntoPostgres(): Promise<string> {
  for (const [role, table, another] of [
    ['task_service', 'task_service.tasks', 'user_service.users'],
    ['user_service', 'user_service.users', 'task_service.tasks'],
  ] as const) {
    await cluster.query(`select from ${table} limit 1`, role);
    for (const statement of [`select from ${another}`, 'create table public.mine ()', 'create schema mine']) {
      const refusal = await cluster.query(statement, role).catch((error: unknown) => String(error));
      if (!String(refusal).includes('permission denied')) throw new Error(`${role} may ${statement}`);
    }
  }
  const names = ['data_checksums', 'fsync', 'full_page_writes', 'synchronous_commit'];
  const list = names.map((name) => `'${name}'`).join();
  const off = await cluster.query(`select name from pg_settings where name in (${list}) and setting <> 'on'`);
  if (off.length > 0) throw new Error(`off: ${off.join()}`);
  const memory = await kubectl(['exec', 'deployment/postgres', '--', 'df', '--output=size', '-h', '/dev/shm']);
  return `roles kept apart; on: ${names.join(', ')}; shared memory ${memory.split('\n')[1]?.trim() ?? ''}`;
}

/** Who tries to connect to whom, and whether it must succeed. That the Ingress reaches both services, the demo has shown. */
const connections: [from: string, to: string, port: number, passes: boolean][] = [
  ['task-service', 'postgres', 5432, true],
  ['task-service', 'user-service', 80, true],
  ['task-service', 'stranger', 3000, false],
  ['user-service', 'postgres', 5432, true],
  ['user-service', 'task-service', 80, false],
  ['user-service', 'stranger', 3000, false],
  ['postgres', 'task-service', 80, false],
  ['postgres', 'stranger', 3000, false],
  ['monitoring', 'stranger', 3000, true],
  ['monitoring', 'task-service', 9464, true],
  ['monitoring', 'user-service', 9464, true],
  ['monitoring', 'task-service', 80, false],
  ['monitoring', 'user-service', 80, false],
  ['monitoring', 'postgres', 5432, false],
  ['stranger', 'task-service', 80, false],
  ['stranger', 'task-service', 9464, false],
  ['stranger', 'user-service', 80, false],
  ['stranger', 'postgres', 5432, false],
];

export async function tryNetwork(): Promise<string> {
  const monitoringIsOurs = await kubectl(['create', 'namespace', 'monitoring']).then(
    () => true,
    () => false,
  );
  const visitors = [
    { name: 'stranger', namespace: cluster.namespace },
    { name: 'monitoring', namespace: 'monitoring' },
  ];
  const wrong: string[] = [];
  try {
    for (const { name, namespace } of visitors) {
      await apply([visitorPod(name)], namespace);
      await kubectl(['--namespace', namespace, 'wait', `pod/${name}`, '--for=condition=Ready', '--timeout=60s']);
    }
    // Until the rules know the new addresses.
    await sleep(3000);
    const tries = connections.map(async ([from, to, port, passes]) => {
      const visitor = visitors.find(({ name }) => name === from);
      const source = visitor ?? { name: `deployment/${from}`, namespace: cluster.namespace };
      const passed = await canConnect(source, await addressOf(to), port);
      if (passed !== passes) wrong.push(`${from} ${passed ? 'reaches' : 'does not reach'} ${to}:${port}`);
    });
    await Promise.all(tries);
  } finally {
    for (const { name, namespace } of visitors) {
      await kubectl(['--namespace', namespace, 'delete', 'pod', name, '--ignore-not-found', '--grace-period=1']);
    }
    if (monitoringIsOurs) await kubectl(['delete', 'namespace', 'monitoring']);
  }
  if (wrong.length > 0) throw new Error(wrong.join(', '));
  const allowed = connections.filter(([, , , passes]) => passes).length;
  return `${allowed} passed, ${connections.length - allowed} refused`;
}

function visitorPod(name: string): cluster.Manifest {
  const seccompProfile = { type: 'RuntimeDefault' };
  const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
  const image = `task-service:${cluster.tag}`;
  const listens = "require('node:net').createServer().listen(3000)";
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      securityContext: { runAsNonRoot: true, seccompProfile },
      containers: [{ name, image, imagePullPolicy: 'IfNotPresent', command: ['node', '-e', listens], securityContext }],
    },
  };
}

async function addressOf(name: string): Promise<string> {
  return name === 'stranger'
    ? kubectl(['get', 'pod', name, '--output', 'jsonpath={.status.podIP}'])
    : kubectl(['get', 'service', name, '--output', 'jsonpath={.spec.clusterIP}']);
}

async function canConnect(from: { name: string; namespace: string }, address: string, port: number): Promise<boolean> {
  const line = `timeout 3 bash -c '</dev/tcp/${address}/${port}' 2> /dev/null && echo yes || echo no`;
  return (await kubectl(['--namespace', from.namespace, 'exec', from.name, '--', 'sh', '-c', line])) === 'yes';
}
