/** Compares kubernetes/ with the contracts, the services' environment variables and package.json. */
import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { variables } from '@task-manager/runtime/config';
import { services } from '@task-manager/dev/repository';
import { expectWithAdvice, only, read, root } from './expect-with-advice.ts';

const files = readdirSync(new URL('kubernetes/', root)).filter((file) => file.endsWith('.yaml'));
const documents = files.flatMap((file) =>
  parseAllDocuments(read(`kubernetes/${file}`)).map((document) => ({ file, document })),
);
const manifests = documents.map(({ document }) => document.toJS() as Manifest);

const postgres = only(find<Deployment>('Deployment', 'postgres').spec.template.spec.containers);

/** The variables that only one service reads. */
const ownVariables: Record<string, Record<string, { default?: unknown }> | undefined> = {};
for (const service of services) {
  const file = new URL(`services/${service}/src/config.ts`, root);
  if (existsSync(file))
    ownVariables[service] = ((await import(file.href)) as { variables: Record<string, object> }).variables;
}

describe('the manifests', () => {
  it('are valid YAML without duplicate keys', () => {
    const errors = documents.flatMap(({ file, document }) =>
      document.errors.map(({ message }) => `kubernetes/${file}: ${message}`),
    );
    expectWithAdvice('fix these YAML errors', errors, []);
  });

  it('are one file per service plus the files of PostgreSQL and the Ingress', () => {
    const expected = ['ingress', 'postgres', 'postgres-pv', 'postgres-secret', ...services];
    const names = files.map((file) => file.replace('.yaml', ''));
    expectWithAdvice(
      'name each manifest after its contract; move manifests outside the base to a subfolder',
      names.sort(),
      expected.sort(),
    );
  });

  it('name each object once', () => {
    const names = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expectWithAdvice('rename the duplicates: kubectl apply would replace the first with the second', names, [
      ...new Set(names),
    ]);
  });
});

describe.each(services)('%s', (name) => {
  const file = `kubernetes/${name}.yaml`;
  const { spec } = find<Deployment>('Deployment', name);
  const pod = spec.template.spec;
  const container = only(pod.containers);
  const contract = parse(read(`generated/${name}.yaml`)) as Contract;

  it('runs the image of the current version that scripts/build_push.sh and the README build', () => {
    const { version } = JSON.parse(read(`services/${name}/package.json`)) as { version: string };
    const advice = `${file}: tag the image with the version in services/${name}/package.json; do not commit the image name that scripts/build_push.sh sets`;
    expectWithAdvice(advice, container.image, `${name}:${version}`);
  });

  it('sets exactly the environment variables that the service reads', () => {
    const names = container.env.map((variable) => variable.name);
    const known: Record<string, { default?: unknown; requiredWhen?: unknown }> = {
      ...variables,
      ...ownVariables[name],
    };
    const missing = Object.entries(known).flatMap(([variable, about]) =>
      (!('default' in about) || about.requiredWhen) && !names.includes(variable) ? [variable] : [],
    );
    expectWithAdvice(`${file}: add these variables to env, they have no default`, missing, []);
    const unread = names.filter((variable) => !(variable in known));
    expectWithAdvice(`${file}: remove these variables from env, no config.ts reads them`, unread, []);
  });

  it('declares the ports that the service listens on', () => {
    expectWithAdvice(`${file}: declare the ports that the service listens on`, container.ports, [
      { name: 'http', containerPort: Number(valueOf(container, 'PORT') ?? variables.PORT.default) },
      { name: 'metrics', containerPort: Number(valueOf(container, 'METRICS_PORT') ?? variables.METRICS_PORT.default) },
    ]);
  });

  it('has probes whose paths are operations of the contract', () => {
    const probes = [container.startupProbe, container.readinessProbe, container.livenessProbe].map(({ httpGet }) => [
      httpGet && (contract.paths[httpGet.path]?.get?.operationId ?? `no operation at ${httpGet.path}`),
      httpGet?.port,
    ]);
    expectWithAdvice(
      `${file}: use getHealth for readiness and getLiveness for the other probes, so that a pod without its database is not restarted`,
      probes,
      [
        ['getLiveness', 'http'],
        ['getHealth', 'http'],
        ['getLiveness', 'http'],
      ],
    );
  });

  it('has a grace period for the shutdown delay, the shutdown limit and 5 s to close', () => {
    const secondsOf = (variable: 'SHUTDOWN_DELAY_MS' | 'SHUTDOWN_LIMIT_MS') =>
      Number(valueOf(container, variable) ?? variables[variable].default) / 1000;
    const delaySeconds = secondsOf('SHUTDOWN_DELAY_MS');
    expectWithAdvice(
      `${file}: set SHUTDOWN_DELAY_MS to 5000, removing a pod from the endpoints takes a moment`,
      delaySeconds >= 2,
      true,
    );
    const needed = delaySeconds + secondsOf('SHUTDOWN_LIMIT_MS') + 5;
    const enough = pod.terminationGracePeriodSeconds >= needed;
    expectWithAdvice(
      `${file}: raise terminationGracePeriodSeconds to ${needed}, otherwise SIGKILL aborts requests`,
      enough,
      true,
    );
  });

  it('connects to the port and database of PostgreSQL', () => {
    const { ports } = find<Service>('Service', valueOf(container, 'POSTGRES_HOST') ?? '').spec;
    const port = Number(valueOf(container, 'POSTGRES_PORT') ?? variables.POSTGRES_PORT.default);
    expectWithAdvice(`${file}: set POSTGRES_PORT to the port of the Service in POSTGRES_HOST`, port, only(ports).port);
    const database = valueOf(postgres, 'POSTGRES_DB');
    expectWithAdvice(
      `${file}: set POSTGRES_DB to the database in postgres.yaml`,
      valueOf(container, 'POSTGRES_DB'),
      database,
    );
  });

  it('calls the other services at the ports of their Services', () => {
    for (const { name: variable, value } of container.env.filter((each) => each.name.endsWith('_SERVICE_URL'))) {
      const { hostname, port } = new URL(value ?? '');
      const { ports } = find<Service>('Service', hostname).spec;
      const http = ports.find((each) => each.name === 'http')?.port;
      expectWithAdvice(`${file}: set ${variable} to the port of that Service`, Number(port || 80), http);
    }
  });

  it('has its own role, schema and password', () => {
    const role = valueOf(container, 'POSTGRES_USER') ?? '';
    const schemas = readdirSync(new URL(`services/${name}/migrations/`, root)).flatMap((migration) =>
      [...read(`services/${name}/migrations/${migration}`).matchAll(/create table (\w+)\./g)].map(
        ([, schema]) => schema,
      ),
    );
    expectWithAdvice(
      `kubernetes/postgres-secret.yaml: give the role the name of the schema in services/${name}/migrations`,
      new Set(schemas),
      new Set([role]),
    );

    const sql = find<ConfigMap>('ConfigMap', 'postgres-init').data['roles.sql'];
    const variable = `${role.toUpperCase()}_PASSWORD`;
    expectWithAdvice(
      `kubernetes/postgres.yaml: create the role ${role} and its schema in roles.sql, like the other roles`,
      sql?.split('\n').filter((line) => RegExp(`\\b${role}\\b|\\b${variable}\\b`).test(line)),
      [
        `\\getenv ${role}_password ${variable}`,
        `select format('create role ${role} login password %L', :'${role}_password')`,
        `  where not exists (select from pg_roles where rolname = '${role}') \\gexec`,
        `grant connect on database task_manager to ${role};`,
        `create schema if not exists ${role} authorization ${role};`,
      ],
    );
    const secret = secretOf(container, 'POSTGRES_PASSWORD');
    expectWithAdvice(`${file}: give ${name} its own Secret`, secret?.name, `${name}-postgres`);
    expectWithAdvice(
      `kubernetes/postgres.yaml: read ${variable} from the Secret of ${name}`,
      secretOf(postgres, variable),
      secret,
    );
  });

  it('has an Ingress path equal to the first server URL of its contract', () => {
    const { spec, metadata } = find<Ingress>('Ingress', 'task-manager');
    const { host, http } = only(spec.rules);
    // The only nginx-specific setting; other controllers ignore it.
    const annotations = { 'nginx.ingress.kubernetes.io/proxy-next-upstream-tries': '10' };
    const about = { host, class: spec.ingressClassName, annotations: metadata.annotations };
    const expected = { host: 'task-user.local', class: 'nginx', annotations };
    expectWithAdvice('kubernetes/ingress.yaml: keep the host, the class and this single annotation', about, expected);
    const path = contract.servers[0]?.url;
    expectWithAdvice(
      `kubernetes/ingress.yaml: route ${String(path)}, the first server URL of api/${name}.yaml, to ${name}`,
      http.paths.filter(({ backend }) => backend.service.name === name),
      [{ path, pathType: 'Prefix', backend: { service: { name, port: { name: 'http' } } } }],
    );
    expectWithAdvice(
      `${file}: map Service port 80 (http) to http and 9464 (metrics) to metrics`,
      find<Service>('Service', name).spec.ports,
      [
        { name: 'http', port: 80, targetPort: 'http' },
        { name: 'metrics', port: 9464, targetPort: 'metrics' },
      ],
    );
  });

  it('keeps all replicas during a rollout and loses at most one when a node is drained', () => {
    expectWithAdvice(`${file}: run at least two replicas`, spec.replicas >= 2, true);
    expectWithAdvice(`${file}: set maxUnavailable to 0`, spec.strategy.rollingUpdate?.maxUnavailable, 0);
    const selector = { matchLabels: { 'app.kubernetes.io/name': name } };
    const { spec: budget } = find<Manifest & { spec: object }>('PodDisruptionBudget', name);
    const expected = { maxUnavailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow', selector };
    expectWithAdvice(`${file}: set maxUnavailable to 1 in the PodDisruptionBudget`, budget, expected);
    const spread = pod.topologySpreadConstraints?.map(({ topologyKey, labelSelector }) => [topologyKey, labelSelector]);
    expectWithAdvice(`${file}: spread the pods over nodes with topologySpreadConstraints`, spread, [
      ['kubernetes.io/hostname', selector],
    ]);
  });

  it('has a NetworkPolicy that allows only the hosts in its environment', () => {
    const upstreams = container.env.flatMap(({ name: variable, value = '' }) =>
      variable === 'POSTGRES_HOST' ? [value] : variable.endsWith('_SERVICE_URL') ? [new URL(value).hostname] : [],
    );
    const { egress } = find<NetworkPolicy>('NetworkPolicy', name).spec;
    const names = egress?.flatMap(({ to }) => to.map(({ podSelector }) => nameIn(podSelector)));
    expectWithAdvice(
      `${file}: allow egress to the hosts in env and to kube-dns`,
      names?.sort(),
      [...upstreams, 'kube-dns'].sort(),
    );
    for (const host of upstreams) {
      const allowed = find<NetworkPolicy>('NetworkPolicy', host).spec.ingress?.flatMap(({ from }) =>
        from.flatMap(({ podSelector }) => nameIn(podSelector) ?? podSelector?.matchExpressions?.[0]?.values ?? []),
      );
      expectWithAdvice(
        `allow ingress from ${name} in the NetworkPolicy of ${host}`,
        allowed,
        expect.arrayContaining([name]),
      );
    }
  });
});

describe('postgres', () => {
  const { spec } = find<Deployment>('Deployment', 'postgres');
  const pod = spec.template.spec;

  it('runs one server at a time', () => {
    const { spec: volume } = find<Volume>('PersistentVolume', 'postgres');
    const about = { replicas: spec.replicas, strategy: spec.strategy.type, accessModes: volume.accessModes };
    const expected = { replicas: 1, strategy: 'Recreate', accessModes: ['ReadWriteOncePod'] };
    expectWithAdvice(
      'set replicas to 1, strategy to Recreate and accessModes to ReadWriteOncePod: two servers would corrupt the volume',
      about,
      expected,
    );
  });

  it('comes after everything that its pod needs, in the order of kubectl apply', () => {
    const names = [...documents]
      .sort((one, other) => (one.file < other.file ? -1 : Number(one.file > other.file)))
      .map(({ document }) => document.toJS() as Manifest)
      .map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    const secrets = postgres.env.flatMap(({ valueFrom }) => valueFrom?.secretKeyRef.name ?? []);
    const needed = ['PersistentVolume postgres', 'PersistentVolumeClaim postgres', 'ConfigMap postgres-init'];
    const late = [...needed, ...secrets.map((name) => `Secret ${name}`)].filter(
      (name) => names.indexOf(name) > names.indexOf('Deployment postgres'),
    );
    expectWithAdvice(
      'kubernetes/: name the files so that these come before the Deployment: the scheduler and the kubelet retry late',
      late,
      [],
    );
  });

  it('claims the volume that holds the node folder', () => {
    const { spec: volume, metadata } = find<Volume>('PersistentVolume', 'postgres');
    const claim = find<Claim>('PersistentVolumeClaim', 'postgres');
    const mounted = pod.volumes?.find(({ name }) => name === 'data')?.persistentVolumeClaim?.claimName;
    expectWithAdvice('kubernetes/postgres.yaml: mount the claim in postgres-pv.yaml', mounted, claim.metadata.name);
    expectWithAdvice(
      'kubernetes/postgres-pv.yaml: claim this volume by name, without a class that would provision an empty one',
      claim.spec,
      {
        volumeName: metadata.name,
        accessModes: volume.accessModes,
        storageClassName: '',
        resources: { requests: volume.capacity },
      },
    );
    const retention = [volume.storageClassName, volume.persistentVolumeReclaimPolicy, volume.hostPath.path];
    expectWithAdvice('kubernetes/postgres-pv.yaml: keep the path and the Retain policy', retention, [
      '',
      'Retain',
      '/mnt/data/postgres',
    ]);
  });

  it('has a node affinity in a comment, for clusters of several nodes', () => {
    const text = read('kubernetes/postgres-pv.yaml').replace(/^ {2}# (?=nodeAffinity:| {2})/gm, '  ');
    const volume = parseAllDocuments(text)[0]?.toJS() as { spec: object };
    const expression = { key: 'kubernetes.io/hostname', operator: 'In', values: ['name-of-the-node'] };
    const nodeAffinity = { required: { nodeSelectorTerms: [{ matchExpressions: [expression] }] } };
    expectWithAdvice(
      'kubernetes/postgres-pv.yaml: keep the commented nodeAffinity valid: it names the node of the folder',
      volume.spec,
      expect.objectContaining({ nodeAffinity }),
    );
  });

  it('mounts its data volume and its init script', () => {
    const mountPaths = new Map(postgres.volumeMounts?.map(({ name, mountPath }) => [name, mountPath]));
    const volumes = pod.volumes?.map(({ name }) => name).sort();
    expectWithAdvice(
      'kubernetes/postgres.yaml: mount exactly the declared volumes',
      [...mountPaths.keys()].sort(),
      volumes,
    );
    const script = pod.volumes?.find(({ name }) => name === 'init')?.configMap?.name ?? '';
    expectWithAdvice(
      'kubernetes/postgres.yaml: mount the volumes at the paths that the image reads',
      {
        data: mountPaths.get('data'),
        init: mountPaths.get('init'),
        scripts: Object.keys(find<ConfigMap>('ConfigMap', script).data),
      },
      { data: '/var/lib/postgresql', init: '/docker-entrypoint-initdb.d', scripts: ['roles.sql'] },
    );
  });

  it('runs as the owner of the data folder', () => {
    const owner = `${String(pod.securityContext.runAsUser)}:${String(pod.securityContext.runAsGroup)}`;
    const advice = 'README.md and kubernetes/postgres-pv.yaml: chown the folder to the user in postgres.yaml';
    const owners = ['README.md', 'kubernetes/postgres-pv.yaml'].map(
      (path) => /chown (\S+) \/mnt\/data\/postgres/.exec(read(path))?.[1],
    );
    expectWithAdvice(advice, owners, [owner, owner]);
  });
});

describe.each(['postgres', ...services])('the pod of %s', (name) => {
  const { spec } = find<Deployment>('Deployment', name);
  const pod = spec.template.spec;
  const container = only(pod.containers);

  it('has the labels that its Deployment and its Service select', () => {
    const { selector, ports } = find<Service>('Service', name).spec;
    const labels = { 'app.kubernetes.io/name': name };
    const { matchLabels } = spec.selector;
    expectWithAdvice(
      `use the same name label in the Deployment, the Service and the pod of ${name}`,
      [matchLabels, selector, spec.template.metadata.labels],
      [labels, labels, { ...labels, 'app.kubernetes.io/part-of': 'task-manager' }],
    );
    const named = container.ports.map((port) => port.name);
    const unmatched = ports.filter(({ targetPort }) => !named.includes(targetPort));
    expectWithAdvice(`target only named container ports in the Service ${name}`, unmatched, []);
  });

  it('has a NetworkPolicy that denies all other traffic', () => {
    const { podSelector, policyTypes } = find<NetworkPolicy>('NetworkPolicy', name).spec;
    const expected = [{ matchLabels: { 'app.kubernetes.io/name': name } }, ['Ingress', 'Egress']];
    expectWithAdvice(`give ${name} a NetworkPolicy for ingress and egress`, [podSelector, policyTypes], expected);
  });

  it('refers only to existing Secret keys', () => {
    const missing = container.env.filter((variable) => variable.valueFrom && !valueOf(container, variable.name));
    expectWithAdvice('kubernetes/postgres-secret.yaml: add the keys that these variables refer to', missing, []);
  });

  it('has a pinned image, resource limits and the restricted security context', () => {
    expectWithAdvice('pin the image to a version, never latest', /:\d/.test(container.image), true);
    expectWithAdvice('set imagePullPolicy to IfNotPresent', container.imagePullPolicy, 'IfNotPresent');
    const amounts = { cpu: expect.anything(), memory: expect.anything() };
    expectWithAdvice('set requests and limits for CPU and memory', container.resources, {
      requests: amounts,
      limits: amounts,
    });
    // Otherwise the Service named postgres sets POSTGRES_PORT to tcp://….
    expectWithAdvice('set enableServiceLinks to false', pod.enableServiceLinks, false);
    const { automountServiceAccountToken, securityContext } = pod;
    expectWithAdvice(
      'comply with the restricted Pod Security Standard and use a read-only root file system',
      [
        automountServiceAccountToken,
        securityContext.runAsNonRoot,
        securityContext.seccompProfile,
        container.securityContext,
      ],
      [
        false,
        true,
        { type: 'RuntimeDefault' },
        { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
      ],
    );
  });
});

function find<M extends Manifest>(kind: M['kind'], name: string): M {
  const found = manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (!found) throw new Error(`kubernetes/ has no ${kind} named "${name}": add it`);
  return found as M;
}

function nameIn(selector: Selector | undefined): string | undefined {
  return selector?.matchLabels?.['app.kubernetes.io/name'] ?? selector?.matchLabels?.['k8s-app'];
}

/** A variable's value, looked up in postgres-secret.yaml when it refers to a Secret. */
function valueOf({ env }: Container, variable: string): string | undefined {
  const found = env.find(({ name }) => name === variable);
  if (!found?.valueFrom) return found?.value;
  const { name, key } = found.valueFrom.secretKeyRef;
  return find<Secret>('Secret', name).stringData[key];
}

function secretOf({ env }: Container, variable: string) {
  return env.find(({ name }) => name === variable)?.valueFrom?.secretKeyRef;
}

/** The fields that these tests read; scripts/check-manifests.sh validates the full schema. */
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
  automountServiceAccountToken?: boolean;
  enableServiceLinks?: boolean;
  terminationGracePeriodSeconds: number;
  securityContext: { runAsNonRoot?: boolean; runAsUser?: number; runAsGroup?: number; seccompProfile?: object };
  containers: Container[];
  topologySpreadConstraints?: { topologyKey: string; labelSelector: Selector }[];
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

interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { values: string[] }[];
}

interface NetworkPolicy extends Manifest {
  spec: {
    podSelector: Selector;
    policyTypes: string[];
    ingress?: { from: { podSelector?: Selector }[] }[];
    egress?: { to: { podSelector?: Selector }[] }[];
  };
}

interface Secret extends Manifest {
  stringData: Record<string, string>;
}

interface ConfigMap extends Manifest {
  data: Record<string, string>;
}

interface Volume extends Manifest {
  spec: {
    capacity: object;
    accessModes: string[];
    persistentVolumeReclaimPolicy: string;
    storageClassName: string;
    hostPath: { path: string };
  };
}

interface Claim extends Manifest {
  spec: object;
}

interface Contract {
  servers: { url: string }[];
  paths: Record<string, { get?: { operationId: string } } | undefined>;
}
