/**
 * Holds kubernetes/production/ to the base in kubernetes/: what a file adds to or replaces is there, under that name.
 * A failure begins with what to do.
 */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { services } from '@task-manager/dev/repository';
import { hold, only, read, root } from './hold.ts';

const base = readManifests('kubernetes/');
const production = readManifests('kubernetes/production/');

/** Also those that it has once: PostgreSQL's. */
const deployments = base.filter(({ kind }) => kind === 'Deployment') as Deployment[];
const postgres = containerOf('postgres');

describe('the files for production', () => {
  it('say what they are for, how they are applied, and whether they were run', () => {
    for (const file of new Set(production.map((manifest) => manifest.file))) {
      const [head = ''] = read(file).split(/^\w/m, 1);
      const told = [
        head.replace('replace --force', 'apply').includes(`kubectl apply -f ${file}`),
        /\bwas (not )?run\b/i.test(head),
      ];
      hold(`${file}: begin with a comment that says how to apply it, and "Was run" or "Was not run"`, told, [
        true,
        true,
      ]);
    }
  });

  it('replace an object of the base only where they say so', () => {
    const names = production.map(nameOf);
    hold('rename one of two: kubectl apply would replace the first by the second', names, [...new Set(names)]);
    const replaced = names.filter((name) => base.map(nameOf).includes(name));
    const expected = ['Ingress task-manager', 'PersistentVolumeClaim postgres'];
    hold('give these a name that the base does not have', replaced.sort(), expected);
  });

  it('bear the label of the whole, by which they are found and deleted', () => {
    const lost = production.filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/part-of'] !== 'task-manager');
    hold('label these app.kubernetes.io/part-of: task-manager', lost.map(nameOf), []);
  });

  it('select pods and ports that the base has', () => {
    const labels = JSON.stringify(production.map(({ spec }) => spec));
    const selected = [...labels.matchAll(/"key":"app.kubernetes.io\/name","operator":"In","values":(\[.*?\])/g)];
    const names = selected.flatMap(([, values = '']) => JSON.parse(values) as string[]);
    const known = new Set(deployments.map(({ metadata }) => metadata.name));
    hold(
      'select pods by names of Deployments in kubernetes/',
      names.filter((name) => !known.has(name)),
      [],
    );
  });
});

describe('autoscaler.yaml', () => {
  const scalers = all<Autoscaler>('HorizontalPodAutoscaler');

  it('scales each service, from what the base has', () => {
    hold(
      'kubernetes/production/autoscaler.yaml: give each service one, with the replicas of the base for its least',
      scalers.map(({ spec }) => [spec.scaleTargetRef, spec.minReplicas]),
      services.map((name) => [
        { apiVersion: 'apps/v1', kind: 'Deployment', name },
        find<Deployment>(base, 'Deployment', name).spec.replicas,
      ]),
    );
    const [first, ...others] = scalers.map(({ spec }) => ({ ...spec, scaleTargetRef: undefined }));
    for (const other of others) hold('kubernetes/production/autoscaler.yaml: scale all services alike', other, first);
  });

  it('never makes more pods than PostgreSQL has connections for, a rollout of all of them included', () => {
    const pods = scalers.reduce((sum, { spec }) => sum + spec.maxReplicas, 0) + podsBeside();
    const free = maxConnections(postgres) - superuserConnections - pods * connectionsPerPod();
    hold(
      `kubernetes/production/autoscaler.yaml: lower maxReplicas, ${pods} pods take ${-free} connections more than there are`,
      free >= 0,
      true,
    );
  });
});

describe('quota.yaml', () => {
  const { hard } = find<Quota>(production, 'ResourceQuota', 'task-manager').spec;
  const pods = all<Autoscaler>('HorizontalPodAutoscaler').reduce((sum, { spec }) => sum + spec.maxReplicas, 0);

  it.each(['requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'] as const)(
    'admits the %s of all that the autoscaler may make, and of either PostgreSQL',
    (resource) => {
      const [part, name] = resource.split('.') as ['requests' | 'limits', 'cpu' | 'memory'];
      const service = Math.max(...services.map((each) => amount(containerOf(each).resources[part][name])));
      const cluster = find<Cluster>(production, 'Cluster', 'task-manager').spec;
      const { instances, template } = find<Pooler>(production, 'Pooler', 'postgres').spec;
      const poolers = (instances + 1) * amount(only(template.spec.containers).resources[part][name]);
      const single = amount(postgres.resources[part][name]);
      const database = Math.max(single, (cluster.instances + 1) * amount(cluster.resources[part][name]) + poolers);
      const needed = (pods + podsBeside()) * service + database;
      hold(
        `kubernetes/production/quota.yaml: raise ${resource}, up to ${needed} are needed`,
        amount(hard[resource]) >= needed,
        true,
      );
    },
  );

  it('lets each container have what it asks for', () => {
    const [limit] = find<LimitRange>(production, 'LimitRange', 'task-manager').spec.limits;
    for (const { metadata, spec } of deployments) {
      const { limits } = only(spec.template.spec.containers).resources;
      const fits = [amount(limits.cpu) <= amount(limit?.max.cpu), amount(limits.memory) <= amount(limit?.max.memory)];
      hold(`kubernetes/production/quota.yaml: raise max to the limits of ${metadata.name}`, fits, [true, true]);
    }
  });
});

describe('the routes', () => {
  const { rules, ingressClassName } = find<Ingress>(base, 'Ingress', 'task-manager').spec;

  it('are those of kubernetes/ingress.yaml with TLS too, for a host of the certificate', () => {
    const { spec } = find<Ingress>(production, 'Ingress', 'task-manager');
    hold(
      'kubernetes/production/ingress-tls.yaml: repeat the rules and class of kubernetes/ingress.yaml',
      [spec.rules, spec.ingressClassName],
      [rules, ingressClassName],
    );
    const hosts = rules.map(({ host }) => host);
    hold('kubernetes/production/ingress-tls.yaml: name its hosts in tls', only(spec.tls ?? []).hosts, hosts);
  });

  it('are those of kubernetes/ingress.yaml as an HTTPRoute too, on the hosts of the Gateway', () => {
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
    hold('kubernetes/production/gateway.yaml: let the HTTPRoute repeat kubernetes/ingress.yaml', routes, expected);

    const { listeners } = find<Gateway>(production, 'Gateway', only(spec.parentRefs).name).spec;
    const hosts = listeners.map(({ hostname }) => hostname);
    hold(
      'kubernetes/production/gateway.yaml: let each listener take that host',
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
    hold(`${file}: name the database like the base`, bootstrap.initdb.database, database);
    hold(
      `${file}: give each service its role, with the password of its Secret`,
      managed.roles,
      secrets.map(({ metadata, stringData }) => ({
        name: stringData.username,
        login: true,
        passwordSecret: { name: metadata.name },
      })),
    );
    const statements = bootstrap.initdb.postInitApplicationSQL;
    const own = roles.flatMap((role) => [
      `grant connect on database ${String(database)} to ${role}`,
      `create schema ${role} authorization ${role}`,
    ]);
    const refused = [
      `revoke connect, temporary on database ${String(database)} from public`,
      'revoke all on schema public from public',
    ];
    hold(
      `${file}: give each role its schema, and nobody else anything`,
      statements,
      expect.arrayContaining([...refused, ...own]),
    );
  });

  it('is met where the services look for PostgreSQL, with all that they ask for when they connect', () => {
    const hosts = services.map((name) => containerOf(name).env.find((each) => each.name === 'POSTGRES_HOST')?.value);
    hold(
      `${file}: name the Pooler like POSTGRES_HOST`,
      services.map(() => pooler.metadata.name),
      hosts,
    );
    const asked = [...read('packages/runtime/src/postgres/database.ts').matchAll(/^\s+(\w+_timeout): /gm)].map(
      ([, name]) => name,
    );
    const known = pooler.spec.pgbouncer.parameters.ignore_startup_parameters?.split(',') ?? [];
    // This one is the client's own.
    const unknown = asked.filter((name) => name && name !== 'query_timeout' && !known.includes(name));
    hold(`${file}: let PgBouncer ignore these, it would refuse every connection of a service`, unknown, []);
  });

  it('ends a transaction that is idle for as long as PostgreSQL lets one of a service be idle', () => {
    const timeoutMs = /idle_in_transaction_session_timeout: (\d+)/.exec(
      read('packages/runtime/src/postgres/database.ts'),
    )?.[1];
    const seconds = Number(pooler.spec.pgbouncer.parameters.idle_transaction_timeout);
    hold(`${file}: set idle_transaction_timeout as in database.ts`, seconds * 1000, Number(timeoutMs));
  });

  it('has connections for the pods that the base has them for', () => {
    hold(
      `${file}: set max_connections as in the base`,
      Number(postgresql.parameters.max_connections),
      maxConnections(postgres),
    );
    const { default_pool_size: size, max_client_conn: clients } = pooler.spec.pgbouncer.parameters;
    const scalers = all<Autoscaler>('HorizontalPodAutoscaler');
    const pods = Math.max(...scalers.map(({ spec }) => spec.maxReplicas)) + podsBeside() / 2;
    const enough = [Number(size) >= pods * connectionsPerPod(), Number(clients) >= maxConnections(postgres)];
    hold(`${file}: let a pooler take the connections of ${pods} pods of each service`, enough, [true, true]);
  });
});

it('external-secrets.yaml makes the Secrets of the base', () => {
  const made = all<ExternalSecret>('ExternalSecret').map(({ metadata, spec: { target, data } }) => ({
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
  hold(
    'kubernetes/production/external-secrets.yaml: make the Secrets of kubernetes/postgres-secret.yaml',
    made,
    expected,
  );
});

it('monitoring.yaml reads the metrics of each service at a port of its Service', () => {
  const { selector, endpoints } = find<ServiceMonitor>(production, 'ServiceMonitor', 'task-manager').spec;
  const selected = only(selector.matchExpressions).values;
  hold('kubernetes/production/monitoring.yaml: select each service', selected, services);
  const ports = selected.map((name) => find<Service>(base, 'Service', name).spec.ports.map((port) => port.name));
  for (const { port } of endpoints) {
    hold(
      `kubernetes/production/monitoring.yaml: name a port of the Services, not ${port}`,
      ports.every((names) => names.includes(port)),
      true,
    );
  }
});

it('postgres-storage.yaml is the claim of the base, of a class', () => {
  const claim = find<Claim>(production, 'PersistentVolumeClaim', 'postgres').spec;
  const { accessModes } = find<Claim>(base, 'PersistentVolumeClaim', 'postgres').spec;
  const about = { accessModes: claim.accessModes, hasClass: Boolean(claim.storageClassName), volume: claim.volumeName };
  hold(
    'kubernetes/production/postgres-storage.yaml: claim as kubernetes/postgres-pv.yaml does, but of a class',
    about,
    { accessModes, hasClass: true, volume: undefined },
  );
});

/** PostgreSQL keeps them back (superuser_reserved_connections). */
const superuserConnections = 3;

/** Of the services, beside what the autoscaler counts: one more of each in a rollout, and those that are still stopping. */
function podsBeside(): number {
  const stopping = 3;
  const surge = services.map(
    (name) => find<Deployment>(base, 'Deployment', name).spec.strategy.rollingUpdate?.maxSurge,
  );
  return surge.reduce<number>((sum, more = 0) => sum + more, stopping);
}

/** The pool, and the connection that looks after the database's health. */
function connectionsPerPod(): number {
  return Number(/pg\.Pool\(\{.* max: (\d+),/.exec(read('packages/runtime/src/postgres/database.ts'))?.[1]) + 1;
}

function maxConnections({ args }: Container): number {
  return Number(/max_connections=(\d+)/.exec(args?.join(' ') ?? '')?.[1]);
}

/** A quantity of Kubernetes: CPU in thousandths of a core, memory in MiB. */
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

/** Of kubernetes/production/, in the order of its files. */
function all<M extends Manifest>(kind: M['kind']): M[] {
  return production.filter((manifest) => manifest.kind === kind) as unknown as M[];
}

function find<M extends Manifest>(manifests: Manifest[], kind: M['kind'], name: string): M {
  const found = manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (!found) throw new Error(`there is no ${kind} named "${name}": add it, or name one that is there`);
  return found as M;
}

function containerOf(deployment: string): Container {
  return only(find<Deployment>(base, 'Deployment', deployment).spec.template.spec.containers);
}

/** Of the manifests, what is looked at here; scripts/check-manifests.sh knows the rest. */
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
    pgbouncer: { parameters: Record<string, string | undefined> };
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
