/**
 * Holds kubernetes/ to the truth: the contracts, the environment that the services read, the versions in package.json.
 * A test gathers complaints, each of which says what to do, and expects none.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { variables } from '../../services/runtime/src/environment.ts';

const root = new URL('../../', import.meta.url);
const files = readdirSync(new URL('kubernetes/', root)).filter((file) => file.endsWith('.yaml'));
const documents = files.flatMap((file) =>
  parseAllDocuments(read(`kubernetes/${file}`)).map((document) => ({ file, document })),
);
const manifests = documents.map(({ document }) => document.toJS() as Manifest);

/** Each contract has a service of its name. */
const services = readdirSync(new URL('generated/', root)).flatMap((file) =>
  file.endsWith('.yaml') ? [file.replace('.yaml', '')] : [],
);
const workloads = ['postgres', ...services];

describe('the manifests', () => {
  it('are YAML without a key that stands twice', () => {
    expect(
      documents.flatMap(({ file, document }) => document.errors.map(({ message }) => `${file}: ${message}`)),
    ).toEqual([]);
  });

  it('are one file for each service, and those of PostgreSQL and the Ingress', () => {
    const expected = ['ingress', 'postgres-deployment', 'postgres-pv', 'postgres-secret', ...services];
    expect(files.map((file) => file.replace('.yaml', '')).sort()).toEqual(expected.sort());
  });

  it('name each object once', () => {
    const names = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(names).toEqual([...new Set(names)]);
  });
});

describe.each(services)('%s', (name) => {
  const { spec } = find<Deployment>('Deployment', name);
  const pod = spec.template.spec;
  const container = only(pod.containers);
  const contract = parse(read(`generated/${name}.yaml`)) as Contract;

  it('runs the image that scripts/build_push.sh and the README build, of this version', () => {
    const { version } = JSON.parse(read(`services/${name}/package.json`)) as { version: string };
    expect(container.name).toBe(name);
    expect(
      complaints(
        container.image !== `${name}:${version}` &&
          `kubernetes/${name}.yaml has the image ${container.image}: make it ${name}:${version}, as services/${name}/package.json ` +
            '(an image of your own, put there by the commands of scripts/build_push.sh, is not to be committed)',
      ),
    ).toEqual([]);
  });

  it('is given the variables that it reads, and no others', () => {
    const given = container.env.map((variable) => variable.name);
    const known = Object.entries<{ default?: unknown }>(variables);
    expect(
      complaints(
        ...known.map(([variable, about]) => {
          const needed = about.default === undefined && !given.includes(variable);
          return needed && `kubernetes/${name}.yaml lacks ${variable}, which has no default: add it to env`;
        }),
        ...given.map((variable) => {
          const unknown = !(variable in variables);
          return (
            unknown &&
            `kubernetes/${name}.yaml sets ${variable}, which services/runtime/src/environment.ts does not read: remove it`
          );
        }),
      ),
    ).toEqual([]);
  });

  it('listens on the ports that its container names', () => {
    expect(container.ports).toEqual([
      { name: 'http', containerPort: Number(valueOf(container, 'PORT') ?? variables.PORT.default) },
      { name: 'metrics', containerPort: Number(valueOf(container, 'METRICS_PORT') ?? variables.METRICS_PORT.default) },
    ]);
  });

  it('is probed at addresses that its contract has', () => {
    const { startupProbe, readinessProbe, livenessProbe } = container;
    const operations = [startupProbe, readinessProbe, livenessProbe].map(
      (probe) =>
        contract.paths[probe.httpGet?.path ?? '']?.get?.operationId ?? `nothing at ${String(probe.httpGet?.path)}`,
    );
    // A pod that waits for its database must not be restarted for it.
    expect(operations).toEqual(['getLiveness', 'getHealth', 'getLiveness']);
    expect([startupProbe, readinessProbe, livenessProbe].map((probe) => probe.httpGet?.port)).toEqual([
      'http',
      'http',
      'http',
    ]);
  });

  it('has the time to stop: the delay, then 30 s for the requests that it has begun', () => {
    const delaySeconds = Number(valueOf(container, 'SHUTDOWN_DELAY_MS') ?? 0) / 1000;
    expect(
      complaints(
        delaySeconds < 2 &&
          `kubernetes/${name}.yaml: endpoints need a moment to forget a pod: set SHUTDOWN_DELAY_MS to 5000`,
        pod.terminationGracePeriodSeconds <= delaySeconds + 30 &&
          `kubernetes/${name}.yaml: raise terminationGracePeriodSeconds above ${delaySeconds + 30}, SHUTDOWN_DELAY_MS and 30 s`,
      ),
    ).toEqual([]);
  });

  it('meets PostgreSQL where that is, as a role that owns the schema of its migrations', () => {
    const server = find<Deployment>('Deployment', 'postgres').spec.template.spec;
    const service = find<Service>('Service', valueOf(container, 'POSTGRES_HOST') ?? '');
    expect(only(service.spec.ports).port).toBe(
      Number(valueOf(container, 'POSTGRES_PORT') ?? variables.POSTGRES_PORT.default),
    );
    expect(valueOf(container, 'POSTGRES_DB')).toBe(valueOf(only(server.containers), 'POSTGRES_DB'));

    const role = valueOf(container, 'POSTGRES_USER');
    const { data } = find<ConfigMap>('ConfigMap', 'postgres-init');
    expect(data['roles.sql']).toContain(`create schema if not exists ${role} authorization ${role};`);
    for (const file of readdirSync(new URL(`services/${name}/migrations/`, root))) {
      const schemas = read(`services/${name}/migrations/${file}`).matchAll(/create table (?:if not exists )?(\w+)\./g);
      for (const [, schema] of schemas) expect(schema).toBe(role);
    }
    // The same password on both sides.
    const password = `${String(role).toUpperCase()}_PASSWORD`;
    expect(secretOf(only(server.containers), password)).toEqual(secretOf(container, 'POSTGRES_PASSWORD'));
    expect(data['roles.sql']).toContain(` ${password}\n`);
  });

  it('is reached through the Ingress under the first server of its contract, without a rewrite', () => {
    const ingress = find<Ingress>('Ingress', 'task-manager');
    const rule = only(ingress.spec.rules);
    expect(rule.host).toBe('task-user.local');
    expect(ingress.spec.ingressClassName).toBe('nginx');
    expect(ingress.metadata.annotations).toBeUndefined();
    expect(rule.http.paths.filter(({ backend }) => backend.service.name === name)).toEqual([
      { path: contract.servers[0]?.url, pathType: 'Prefix', backend: { service: { name, port: { name: 'http' } } } },
    ]);
    expect(find<Service>('Service', name).spec.ports).toEqual([{ name: 'http', port: 80, targetPort: 'http' }]);
  });

  it('loses no replica while it is rolled out', () => {
    expect(spec.replicas).toBeGreaterThanOrEqual(2);
    expect(spec.strategy.rollingUpdate?.maxUnavailable).toBe(0);
  });
});

describe('postgres', () => {
  const { spec } = find<Deployment>('Deployment', 'postgres');
  const pod = spec.template.spec;

  it('is one server at a time, on the volume that the claim and the folder of the node give it', () => {
    expect(spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    const volume = find<Volume>('PersistentVolume', 'postgres').spec;
    const claim = find<Claim>('PersistentVolumeClaim', 'postgres');
    expect(pod.volumes?.find(({ name }) => name === 'data')?.persistentVolumeClaim?.claimName).toBe(
      claim.metadata.name,
    );
    expect(volume.hostPath.path).toBe('/mnt/data/postgres');
    expect(claim.spec).toEqual({
      volumeName: 'postgres',
      accessModes: volume.accessModes,
      // A class would have a provisioner answer the claim with an empty volume.
      storageClassName: '',
      resources: { requests: volume.capacity },
    });
    expect(volume).toMatchObject({ storageClassName: '', persistentVolumeReclaimPolicy: 'Retain' });
  });

  it('keeps its data in the volume, and finds its first script', () => {
    const mounts = new Map(only(pod.containers).volumeMounts?.map(({ name, mountPath }) => [name, mountPath]));
    expect([...mounts.keys()].sort()).toEqual(pod.volumes?.map(({ name }) => name).sort());
    expect(mounts.get('data')).toBe('/var/lib/postgresql');
    expect(mounts.get('init')).toBe('/docker-entrypoint-initdb.d');
    const script = pod.volumes?.find(({ name }) => name === 'init')?.configMap?.name ?? '';
    expect(Object.keys(find<ConfigMap>('ConfigMap', script).data)).toEqual(['roles.sql']);
  });

  it('runs as whom the README and postgres-pv.yaml give the folder to', () => {
    const { runAsUser, runAsGroup } = pod.securityContext;
    expect(read('kubernetes/postgres-pv.yaml')).toContain(
      `chown ${String(runAsUser)}:${String(runAsGroup)} /mnt/data/postgres`,
    );
  });
});

describe.each(workloads)('the pod of %s', (name) => {
  const { spec } = find<Deployment>('Deployment', name);
  const pod = spec.template.spec;
  const container = only(pod.containers);

  it('bears the name by which its Deployment and its Service find it', () => {
    const { selector, ports } = find<Service>('Service', name).spec;
    const labels = { 'app.kubernetes.io/name': name };
    expect([spec.selector.matchLabels, spec.template.metadata.labels, selector]).toEqual([labels, labels, labels]);
    expect(container.ports.map((port) => port.name)).toEqual(
      expect.arrayContaining(ports.map((port) => port.targetPort)),
    );
  });

  it('finds the Secrets that it names', () => {
    const missing = container.env.flatMap(({ valueFrom }) => {
      if (!valueFrom) return [];
      const { name: secret, key } = valueFrom.secretKeyRef;
      const found = manifests.find(({ kind, metadata }) => kind === 'Secret' && metadata.name === secret) as
        Secret | undefined;
      return found?.stringData[key]
        ? []
        : [`kubernetes/postgres-secret.yaml lacks ${key} of the Secret ${secret}: add it`];
    });
    expect(missing).toEqual([]);
  });

  it('has a pinned image, a limit to what it takes, and no more rights than it needs', () => {
    expect(container.image).toMatch(/:\d/);
    expect(container.imagePullPolicy).toBe('IfNotPresent');
    const resources = { cpu: expect.anything(), memory: expect.anything() };
    expect(container.resources).toEqual({ requests: resources, limits: resources });
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      // The Service named postgres would else put a POSTGRES_PORT of its own, tcp://…, into the environment.
      enableServiceLinks: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });
});

function read(path: string): string {
  return readFileSync(new URL(path, root), 'utf8');
}

function find<M extends Manifest>(kind: M['kind'], name: string): M {
  const found = manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (!found) throw new Error(`kubernetes/ has no ${kind} named "${name}": add it`);
  return found as M;
}

function only<Item>(items: Item[]): Item {
  const [item] = items;
  if (item === undefined || items.length > 1)
    throw new Error(`expected one of these, found ${items.length}: ${JSON.stringify(items)}`);
  return item;
}

/** What a variable is set to; of a Secret, what postgres-secret.yaml says. */
function valueOf({ env }: Container, variable: string): string | undefined {
  const found = env.find(({ name }) => name === variable);
  if (!found?.valueFrom) return found?.value;
  const { name, key } = found.valueFrom.secretKeyRef;
  return find<Secret>('Secret', name).stringData[key];
}

function secretOf({ env }: Container, variable: string) {
  return env.find(({ name }) => name === variable)?.valueFrom?.secretKeyRef;
}

function complaints(...all: (string | false)[]): string[] {
  return all.filter((each) => each !== false);
}

/** Of the manifests and contracts, what is looked at here; scripts/check-manifests.sh knows the rest. */
interface Manifest {
  kind: string;
  metadata: { name: string; annotations?: Record<string, string> };
}

interface Deployment extends Manifest {
  spec: {
    replicas: number;
    strategy: { type?: string; rollingUpdate?: { maxUnavailable: number } };
    selector: { matchLabels: Record<string, string> };
    template: { metadata: { labels: Record<string, string> }; spec: Pod };
  };
}

interface Pod {
  terminationGracePeriodSeconds: number;
  securityContext: { runAsUser?: number; runAsGroup?: number };
  containers: Container[];
  volumes?: { name: string; persistentVolumeClaim?: { claimName: string }; configMap?: { name: string } }[];
}

interface Container {
  name: string;
  image: string;
  imagePullPolicy: string;
  env: { name: string; value?: string; valueFrom?: { secretKeyRef: { name: string; key: string } } }[];
  ports: { name: string; containerPort: number }[];
  startupProbe: Probe;
  readinessProbe: Probe;
  livenessProbe: Probe;
  resources: object;
  securityContext: object;
  volumeMounts?: { name: string; mountPath: string }[];
}

interface Probe {
  httpGet?: { path: string; port: string };
}

interface Service extends Manifest {
  spec: { selector: Record<string, string>; ports: { name: string; port: number; targetPort: string }[] };
}

interface Ingress extends Manifest {
  spec: {
    ingressClassName: string;
    rules: { host: string; http: { paths: { backend: { service: { name: string } } }[] } }[];
  };
}

interface Secret extends Manifest {
  stringData: Record<string, string>;
}

interface ConfigMap extends Manifest {
  data: Record<string, string>;
}

interface Volume extends Manifest {
  spec: { capacity: object; accessModes: string[]; hostPath: { path: string } };
}

interface Claim extends Manifest {
  spec: object;
}

interface Contract {
  servers: { url: string }[];
  paths: Record<string, { get?: { operationId: string } } | undefined>;
}
