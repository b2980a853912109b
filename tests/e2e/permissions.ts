/** Permissions: of pods on the node, of roles in PostgreSQL, and of connections between pods. */
import { setTimeout as sleep } from 'node:timers/promises';
import { apply, kubectl, namespace, query, tag, type Manifest } from './cluster.ts';

export async function enforcePodSecurity(): Promise<string> {
  const pods = JSON.parse(await kubectl(['get', 'pods', '--output', 'json'])) as { items: unknown[] };
  const container = { name: 'rude', image: `task-service:${tag}`, securityContext: { privileged: true } };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'rude' }, spec: { containers: [container] } };
  const message = await apply([pod]).catch((error: unknown) => (error as Error).message);
  if (!message?.includes('violates PodSecurity')) throw new Error('a privileged pod was admitted');
  return `${pods.items.length} pods admitted, a privileged one rejected`;
}

/** Each role can use only its own schema, and commits are durable. */
export async function inspectPostgres(): Promise<string> {
  for (const [role, table, another] of [
    ['task_service', 'task_service.tasks', 'user_service.users'],
    ['user_service', 'user_service.users', 'task_service.tasks'],
  ] as const) {
    await query(`select from ${table} limit 1`, role);
    for (const statement of [`select from ${another}`, 'create table public.mine ()', 'create schema mine']) {
      const message = await query(statement, role).catch((error: unknown) => String(error));
      if (!String(message).includes('permission denied')) throw new Error(`${role} may ${statement}`);
    }
  }
  const names = ['data_checksums', 'fsync', 'full_page_writes', 'synchronous_commit'];
  const list = names.map((name) => `'${name}'`).join();
  const off = await query(`select name from pg_settings where name in (${list}) and setting <> 'on'`);
  if (off.length > 0) throw new Error(`off: ${off.join()}`);
  const memory = await kubectl(['exec', 'deployment/postgres', '--', 'df', '--output=size', '-h', '/dev/shm']);
  return `roles separated; on: ${names.join(', ')}; shared memory ${memory.split('\n')[1]?.trim() ?? ''}`;
}

/** The demo shows that the Ingress reaches both services. */
const allowed = [
  ...['task-service postgres:5432', 'task-service user-service:80', 'user-service postgres:5432'],
  ...['monitoring stranger:3000', 'monitoring task-service:9464', 'monitoring user-service:9464'],
];
const blocked = [
  ...['task-service stranger:3000', 'user-service task-service:80', 'user-service stranger:3000'],
  ...['postgres task-service:80', 'postgres stranger:3000', 'monitoring postgres:5432'],
  ...['monitoring task-service:80', 'monitoring user-service:80', 'stranger postgres:5432'],
  ...['stranger task-service:80', 'stranger task-service:9464', 'stranger user-service:80'],
];

export async function checkNetworkPolicies(): Promise<string> {
  const createdMonitoring = await kubectl(['create', 'namespace', 'monitoring']).then(
    () => true,
    () => false,
  );
  const namespaceOf = (pod: string) => (pod === 'monitoring' ? 'monitoring' : namespace);
  const wrong: string[] = [];
  try {
    for (const pod of ['stranger', 'monitoring']) {
      const inNamespace = ['--namespace', namespaceOf(pod)];
      await apply([podManifest(pod)], namespaceOf(pod));
      await kubectl([...inNamespace, 'wait', `pod/${pod}`, '--for=condition=Ready', '--timeout=60s']);
    }
    // Until the policies know the new addresses.
    await sleep(3000);
    const connecting = [...allowed, ...blocked].map(async (connection) => {
      const [from = '', to = '', port = ''] = connection.split(/[ :]/);
      const source = ['stranger', 'monitoring'].includes(from) ? from : `deployment/${from}`;
      const line = `timeout 3 bash -c '</dev/tcp/${await addressOf(to)}/${port}' 2> /dev/null && echo yes || echo no`;
      const output = await kubectl(['--namespace', namespaceOf(from), 'exec', source, '--', 'sh', '-c', line]);
      const isConnected = output === 'yes';
      if (isConnected !== allowed.includes(connection))
        wrong.push(`${connection} ${isConnected ? 'connects' : 'does not'}`);
    });
    await Promise.all(connecting);
  } finally {
    for (const pod of ['stranger', 'monitoring']) {
      await kubectl(['--namespace', namespaceOf(pod), 'delete', 'pod', pod, '--ignore-not-found', '--grace-period=1']);
    }
    if (createdMonitoring) await kubectl(['delete', 'namespace', 'monitoring']);
  }
  if (wrong.length > 0) throw new Error(wrong.join(', '));
  return `${allowed.length} connected, ${blocked.length} blocked`;
}

function podManifest(name: string): Manifest {
  const container = {
    ...{ name, image: `task-service:${tag}`, imagePullPolicy: 'IfNotPresent' },
    command: ['node', '-e', "require('node:net').createServer().listen(3000)"],
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  };
  const securityContext = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { securityContext, containers: [container] } };
}

async function addressOf(name: string): Promise<string> {
  return name === 'stranger'
    ? kubectl(['get', 'pod', name, '--output', 'jsonpath={.status.podIP}'])
    : kubectl(['get', 'service', name, '--output', 'jsonpath={.spec.clusterIP}']);
}
