/** Compares kubernetes/production/ with the base in kubernetes/. */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { services } from '@task-manager/dev/repository';
import { expectWithAdvice, only, read, root } from './expect-with-advice.ts';

const base = readManifests('kubernetes/');
const production = readManifests('kubernetes/production/');

/** Includes PostgreSQL's. */
const deployments = base.filter(({ kind }) => kind === 'Deployment') as Deployment[];
const postgres = containerOf('postgres');

describe('kubernetes/production/', () => {
  it('says in each file how to apply it and whether it was run', () => {
    for (const file of new Set(production.map((manifest) => manifest.file))) {
      const [head = ''] = read(file).split(/^\w/m, 1);
      const statements = [
        head.replace('replace --force', 'apply').includes(`kubectl apply -f ${file}`),
        /\bwas (not )?run\b/i.test(head),
      ];
      expectWithAdvice(
        `${file}: start with a comment that has the kubectl apply command and "Was run" or "Was not run"`,
        statements,
        [true, true],
      );
    }
  });

  it('replaces only the Ingress and the volume claim of the base', () => {
    const names = production.map(nameOf);
    expectWithAdvice('rename the duplicates: kubectl apply would replace the first with the second', names, [
      ...new Set(names),
    ]);
    const replaced = names.filter((name) => base.map(nameOf).includes(name));
    const expected = ['Ingress task-manager', 'PersistentVolumeClaim postgres'];
    expectWithAdvice('use names that the base does not have, except for these two objects', replaced.sort(), expected);
  });

  it('labels every object as part of task-manager', () => {
    const unlabelled = production.filter(
      ({ metadata }) => metadata.labels?.['app.kubernetes.io/part-of'] !== 'task-manager',
    );
    expectWithAdvice('label these objects app.kubernetes.io/part-of: task-manager', unlabelled.map(nameOf), []);
  });

  it('selects only pods of the base', () => {
    const labels = JSON.stringify(production.map(({ spec }) => spec));
    const selected = [...labels.matchAll(/"key":"app.kubernetes.io\/name","operator":"In","values":(\[.*?\])/g)];
    const names = selected.flatMap(([, values = '']) => JSON.parse(values) as string[]);
    const known = new Set(deployments.map(({ metadata }) => metadata.name));
    expectWithAdvice(
      'select pods by the names of Deployments in kubernetes/',
      names.filter((name) => !known.has(name)),
      [],
    );
  });
});

describe('autoscaler.yaml', () => {
  const scalers = all<Autoscaler>('HorizontalPodAutoscaler');

  it('scales each service, starting from the replicas of the base', () => {
    expectWithAdvice(
      'kubernetes/production/autoscaler.yaml: add one per service with minReplicas equal to the replicas of the base',
      scalers.map(({ spec }) => [spec.scaleTargetRef, spec.minReplicas]),
      services.map((name) => [
        { apiVersion: 'apps/v1', kind: 'Deployment', name },
        find<Deployment>(base, 'Deployment', name).spec.replicas,
      ]),
    );
    const [first, ...others] = scalers.map(({ spec }) => ({ ...spec, scaleTargetRef: undefined }));
    for (const other of others)
      expectWithAdvice('kubernetes/production/autoscaler.yaml: use the same limits for all services', other, first);
  });

  it('never exceeds the connections of PostgreSQL, even during a rollout', () => {
    const pods = scalers.reduce((sum, { spec }) => sum + spec.maxReplicas, 0) + extraPods();
    const free = maxConnections(postgres) - superuserConnections - pods * connectionsPerPod();
    expectWithAdvice(
      `kubernetes/production/autoscaler.yaml: lower maxReplicas, ${pods} pods need ${-free} connections too many`,
      free >= 0,
      true,
    );
  });
});

describe('quota.yaml', () => {
  const { hard } = find<Quota>(production, 'ResourceQuota', 'task-manager').spec;
  const pods = all<Autoscaler>('HorizontalPodAutoscaler').reduce((sum, { spec }) => sum + spec.maxReplicas, 0);

  it.each(['requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'] as const)(
    'allows the %s of the maximum replicas and of either PostgreSQL',
    (resource) => {
      const [part, name] = resource.split('.') as ['requests' | 'limits', 'cpu' | 'memory'];
      const service = Math.max(...services.map((each) => amount(containerOf(each).resources[part][name])));
      const cluster = find<Cluster>(production, 'Cluster', 'task-manager').spec;
      const { instances, template } = find<Pooler>(production, 'Pooler', 'postgres').spec;
      const poolers = (instances + 1) * amount(only(template.spec.containers).resources[part][name]);
      const single = amount(postgres.resources[part][name]);
      const database = Math.max(single, (cluster.instances + 1) * amount(cluster.resources[part][name]) + poolers);
      const needed = (pods + extraPods()) * service + database;
      expectWithAdvice(
        `kubernetes/production/quota.yaml: raise ${resource} to ${needed}`,
        amount(hard[resource]) >= needed,
        true,
      );
    },
  );

  it('allows the limits of each container', () => {
    const [limit] = find<LimitRange>(production, 'LimitRange', 'task-manager').spec.limits;
    for (const { metadata, spec } of deployments) {
      const { limits } = only(spec.template.spec.containers).resources;
      const fits = [amount(limits.cpu) <= amount(limit?.max.cpu), amount(limits.memory) <= amount(limit?.max.memory)];
      expectWithAdvice(`kubernetes/production/quota.yaml: raise max to the limits of ${metadata.name}`, fits, [
        true,
        true,
      ]);
    }
  });
});

describe('the routes', () => {
  const { rules, ingressClassName } = find<Ingress>(base, 'Ingress', 'task-manager').spec;

  it('are the same in kubernetes/ingress.yaml and ingress-tls.yaml, with a certificate for each host', () => {
    const { spec } = find<Ingress>(production, 'Ingress', 'task-manager');
    expectWithAdvice(
      'kubernetes/production/ingress-tls.yaml: use the rules and class of kubernetes/ingress.yaml',
      [spec.rules, spec.ingressClassName],
      [rules, ingressClassName],
    );
    const hosts = rules.map(({ host }) => host);
    expectWithAdvice(
      'kubernetes/production/ingress-tls.yaml: list all hosts in tls',
      only(spec.tls ?? []).hosts,
      hosts,
    );
  });

  it('are the same in kubernetes/ingress.yaml and the HTTPRoute, on the hosts of the Gateway', () => {
    const expected = rules.flatMap(({ host, http }) =>
      http.paths.map(({ path, pathType, backend: { service } }) => {
        const { ports } = find<Service>(base, 'Service', service.name).spec;
        const port = ports.find(({ name }) => name === service.port.name)?.port;
        return { hosts: [host], path, prefix: pathType === 'Prefix', service: service.name, port };
      }),
    );
    const { spec } = find<HttpRoute>(production, 'HTTPRoute', 'task-manager');
    const routes = spec.rules.map(({ matches, backendRefs, ...more }) => {
      const { path } = only(matches);
      const { name, port } = only(backendRefs);
      return {
        hosts: spec.hostnames,
        path: path.value,
        prefix: path.type === 'PathPrefix',
        service: name,
        port,
        ...more,
      };
    });
    expectWithAdvice(
      'kubernetes/production/gateway.yaml: use the routes of kubernetes/ingress.yaml in the HTTPRoute',
      routes,
      expected,
    );

    const { listeners } = find<Gateway>(production, 'Gateway', only(spec.parentRefs).name).spec;
    const hosts = listeners.map(({ hostname }) => hostname);
    expectWithAdvice(
      'kubernetes/production/gateway.yaml: use the host of the HTTPRoute in each listener',
      hosts,
      listeners.map(() => only(spec.hostnames)),
    );
  });
});

describe('postgres-cluster.yaml', () => {
  const file = 'kubernetes/production/postgres-cluster.yaml';
  const { bootstrap, managed, postgresql } = find<Cluster>(production, 'Cluster', 'task-manager').spec;
  const pooler = find<Pooler>(production, 'Pooler', 'postgres');
  const secrets = services.map((name) => find<Secret>(base, 'Secret', `${name}-postgres`));
  const roles = secrets.map(({ stringData }) => stringData.username ?? '');

  it('has the database, the roles and the schemas of the base', () => {
    const database = postgres.env.find(({ name }) => name === 'POSTGRES_DB')?.value;
    expectWithAdvice(`${file}: use the database name of the base`, bootstrap.initdb.database, database);
    expectWithAdvice(
      `${file}: give each service a role with the password of its Secret`,
      managed.roles,
      secrets.map(({ metadata, stringData }) => ({
        name: stringData.username,
        login: true,
        passwordSecret: { name: metadata.name },
      })),
    );
    const statements = bootstrap.initdb.postInitApplicationSQL;
    const grants = roles.flatMap((role) => [
      `grant connect on database ${String(database)} to ${role}`,
      `create schema ${role} authorization ${role}`,
    ]);
    const revokes = [
      `revoke connect, temporary on database ${String(database)} from public`,
      'revoke all on schema public from public',
    ];
    expectWithAdvice(
      `${file}: grant each role its schema and revoke the rights of public`,
      statements,
      expect.arrayContaining([...revokes, ...grants]),
    );
  });

  it('has a Pooler with the host that the services use, and prepared statements', () => {
    const hosts = services.map((name) => containerOf(name).env.find((each) => each.name === 'POSTGRES_HOST')?.value);
    expectWithAdvice(
      `${file}: name the Pooler after POSTGRES_HOST`,
      services.map(() => pooler.metadata.name),
      hosts,
    );
    const { poolMode, parameters } = pooler.spec.pgbouncer;
    const isPrepared = poolMode === 'transaction' && Number(parameters.max_prepared_statements) > 0;
    expectWithAdvice(`${file}: set poolMode to transaction, and max_prepared_statements`, isPrepared, true);
  });

  it('has the statement timeout of the services for their roles', () => {
    const timeout = /statementTimeoutMs = (\d+)/.exec(read('packages/runtime/src/postgres/session-settings.ts'))?.[1];
    expectWithAdvice(
      `${file}: set statement_timeout as in session-settings.ts`,
      bootstrap.initdb.postInitApplicationSQL,
      expect.arrayContaining(roles.map((role) => `alter role ${role} set statement_timeout = '${timeout}ms'`)),
    );
  });

  it('has as many connections as the base, and poolers that leave some of them free', () => {
    const connections = Number(postgresql.parameters.max_connections);
    expectWithAdvice(`${file}: set max_connections as in the base`, connections, maxConnections(postgres));
    const { default_pool_size: size, max_client_conn: clients } = pooler.spec.pgbouncer.parameters;
    // One more pooler during a rollout.
    const pooled = services.length * (pooler.spec.instances + 1) * Number(size);
    const spare = superuserConnections + 10;
    expectWithAdvice(`${file}: lower default_pool_size`, pooled + spare <= connections, true);
    const scalers = all<Autoscaler>('HorizontalPodAutoscaler');
    const pods = scalers.reduce((sum, { spec }) => sum + spec.maxReplicas, 0) + extraPods();
    const enough = Number(clients) >= pods * connectionsPerPod();
    expectWithAdvice(`${file}: raise max_client_conn for ${pods} pods`, enough, true);
  });
});

it('external-secrets.yaml creates the Secrets of the base', () => {
  const created = all<ExternalSecret>('ExternalSecret').map(({ metadata, spec: { target, data } }) => ({
    name: [metadata.name, target.name],
    type: target.template.type,
    username: target.template.data.username,
    keys: [Object.keys(target.template.data), data.map(({ secretKey }) => secretKey)],
  }));
  const expected = base
    .filter((manifest): manifest is Secret & File => manifest.kind === 'Secret')
    .map(({ metadata: { name }, type, stringData }) => ({
      name: [name, name],
      type,
      username: stringData.username,
      keys: [Object.keys(stringData), ['password']],
    }));
  expectWithAdvice(
    'kubernetes/production/external-secrets.yaml: create the Secrets of kubernetes/postgres-secret.yaml',
    created,
    expected,
  );
});

it('monitoring.yaml scrapes each service at a port of its Service', () => {
  const { selector, endpoints } = find<ServiceMonitor>(production, 'ServiceMonitor', 'task-manager').spec;
  const selected = only(selector.matchExpressions).values;
  expectWithAdvice('kubernetes/production/monitoring.yaml: select each service', selected, services);
  const ports = selected.map((name) => find<Service>(base, 'Service', name).spec.ports.map((port) => port.name));
  for (const { port } of endpoints) {
    expectWithAdvice(
      `kubernetes/production/monitoring.yaml: replace ${port} with a port of the Services`,
      ports.every((names) => names.includes(port)),
      true,
    );
  }
});

it('postgres-storage.yaml stops the services before the backup and starts them after the restore', () => {
  const file = 'kubernetes/production/postgres-storage.yaml';
  const [head = ''] = read(file).split(/^\w/m, 1);
  const steps = [
    `scale deployment ${services.join(' ')} --replicas=0`,
    'create job --from=cronjob/postgres-backup',
    'scale deployment postgres --replicas=0',
    'delete pvc postgres',
    `apply -f ${file}`,
    'scale deployment postgres --replicas=1',
    'replace --force -f kubernetes/production/postgres-restore.yaml',
    `scale deployment ${services.join(' ')} --replicas=2`,
  ];
  const places = steps.map((step) => head.indexOf(`#   kubectl ${step}`));
  expectWithAdvice(
    `${file}: list the commands in this order, otherwise running services write to the empty database: ${steps.join('; ')}`,
    places.every((place, index) => place > (places[index - 1] ?? 0)),
    true,
  );
});

it('postgres-storage.yaml has the claim of the base with a storage class', () => {
  const claim = find<Claim>(production, 'PersistentVolumeClaim', 'postgres').spec;
  const { accessModes } = find<Claim>(base, 'PersistentVolumeClaim', 'postgres').spec;
  const found = { accessModes: claim.accessModes, hasClass: Boolean(claim.storageClassName), volume: claim.volumeName };
  expectWithAdvice(
    'kubernetes/production/postgres-storage.yaml: repeat the claim in kubernetes/postgres-pv.yaml with a storage class',
    found,
    { accessModes, hasClass: true, volume: undefined },
  );
});

/** superuser_reserved_connections */
const superuserConnections = 3;

/** The service pods that the autoscaler does not count: the rollout surge and the pods that are still stopping. */
function extraPods(): number {
  const stopping = 3;
  const surge = services.map(
    (name) => find<Deployment>(base, 'Deployment', name).spec.strategy.rollingUpdate?.maxSurge,
  );
  return surge.reduce<number>((sum, more = 0) => sum + more, stopping);
}

/** The pool and the health check's connection. */
function connectionsPerPod(): number {
  return Number(/POSTGRES_POOL_MAX: .*default: (\d+)/.exec(read('packages/runtime/src/config.ts'))?.[1]) + 1;
}

function maxConnections({ args }: Container): number {
  return Number(/max_connections=(\d+)/.exec(args?.join(' ') ?? '')?.[1]);
}

/** A Kubernetes quantity: CPU in millicores, memory in MiB. */
function amount(quantity: string | undefined): number {
  const [, digits, unit = ''] = /^(\d+)(m|Mi|Gi)?$/.exec(quantity ?? '') ?? [];
  return Number(digits) * ({ m: 1, '': 1000, Mi: 1, Gi: 1024 }[unit] ?? NaN);
}

function readManifests(folder: string): (Manifest & File)[] {
  const files = readdirSync(new URL(folder, root)).filter((file) => file.endsWith('.yaml'));
  return files.flatMap((file) =>
    parseAllDocuments(read(folder + file)).map((document) => {
      for (const { message } of document.errors) throw new Error(`${folder}${file}: ${message}`);
      return { ...(document.toJS() as Manifest), file: folder + file };
    }),
  );
}

function nameOf({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.name}`;
}

/** The objects of a kind in kubernetes/production/. */
function all<M extends Manifest>(kind: M['kind']): M[] {
  return production.filter((manifest) => manifest.kind === kind) as unknown as M[];
}

function find<M extends Manifest>(manifests: Manifest[], kind: M['kind'], name: string): M {
  const found = manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (!found) throw new Error(`there is no ${kind} named "${name}": add it or refer to an existing one`);
  return found as M;
}

function containerOf(deployment: string): Container {
  return only(find<Deployment>(base, 'Deployment', deployment).spec.template.spec.containers);
}

/** The fields that these tests read; scripts/check-manifests.sh validates the full schema. */
interface Manifest {
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  spec?: unknown;
}

interface File {
  file: string;
}

interface Resources {
  requests: Record<'cpu' | 'memory', string>;
  limits: Record<'cpu' | 'memory', string>;
}

interface Container {
  args?: string[];
  env: { name: string; value?: string }[];
  resources: Resources;
}

interface Deployment extends Manifest {
  spec: {
    replicas: number;
    strategy: { rollingUpdate?: { maxSurge: number } };
    template: { spec: { containers: Container[] } };
  };
}

interface Service extends Manifest {
  spec: { ports: { name: string; port: number }[] };
}

interface Secret extends Manifest {
  type: string;
  stringData: Record<string, string>;
}

interface Claim extends Manifest {
  spec: { accessModes: string[]; storageClassName: string; volumeName?: string };
}

interface Ingress extends Manifest {
  spec: {
    ingressClassName: string;
    tls?: { hosts: string[] }[];
    rules: {
      host: string;
      http: {
        paths: { path: string; pathType: string; backend: { service: { name: string; port: { name: string } } } }[];
      };
    }[];
  };
}

interface Autoscaler extends Manifest {
  spec: { scaleTargetRef: { name: string }; minReplicas: number; maxReplicas: number };
}

interface Quota extends Manifest {
  spec: { hard: Record<string, string> };
}

interface LimitRange extends Manifest {
  spec: { limits: { max: Record<'cpu' | 'memory', string> }[] };
}

interface Gateway extends Manifest {
  spec: { listeners: { hostname: string }[] };
}

interface HttpRoute extends Manifest {
  spec: {
    parentRefs: { name: string }[];
    hostnames: string[];
    rules: { matches: { path: { type: string; value: string } }[]; backendRefs: { name: string; port: number }[] }[];
  };
}

interface Cluster extends Manifest {
  spec: {
    instances: number;
    resources: Resources;
    bootstrap: { initdb: { database: string; postInitApplicationSQL: string[] } };
    managed: { roles: object[] };
    postgresql: { parameters: Record<string, string> };
  };
}

interface Pooler extends Manifest {
  spec: {
    instances: number;
    pgbouncer: { poolMode: string; parameters: Record<string, string | undefined> };
    template: { spec: { containers: { resources: Resources }[] } };
  };
}

interface ExternalSecret extends Manifest {
  spec: {
    target: { name: string; template: { type: string; data: Record<string, string> } };
    data: { secretKey: string }[];
  };
}

interface ServiceMonitor extends Manifest {
  spec: { selector: { matchExpressions: { values: string[] }[] }; endpoints: { port: string }[] };
}
