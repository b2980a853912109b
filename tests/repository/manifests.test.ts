/**
 * Holds kubernetes/ to the truth: the contracts, the environment that the services read, the versions in package.json.
 * A failure begins with what to do.
 */
import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { variables } from '@task-manager/runtime/config';
import { services } from '@task-manager/dev/repository';
import { hold, only, read, root } from './hold.ts';

const files = readdirSync(new URL('kubernetes/', root)).filter((file) => file.endsWith('.yaml'));
const documents = files.flatMap((file) =>
  parseAllDocuments(read(`kubernetes/${file}`)).map((document) => ({ file, document })),
);
const manifests = documents.map(({ document }) => document.toJS() as Manifest);

const postgres = only(find<Deployment>('Deployment', 'postgres').spec.template.spec.containers);

/** What a service reads beside what every service reads. */
const own: Record<string, Record<string, { default?: unknown }> | undefined> = {};
for (const service of services) {
  const file = new URL(`services/${service}/src/config.ts`, root);
  if (existsSync(file)) own[service] = ((await import(file.href)) as { variables: Record<string, object> }).variables;
}

describe('the manifests', () => {
  it('are YAML without a key that stands twice', () => {
    const errors = documents.flatMap(({ file, document }) =>
      document.errors.map(({ message }) => `kubernetes/${file}: ${message}`),
    );
    hold('mend what these errors name', errors, []);
  });

  it('are one file for each service, and those of PostgreSQL and the Ingress', () => {
    const expected = ['ingress', 'postgres-deployment', 'postgres-pv', 'postgres-secret', ...services];
    const names = files.map((file) => file.replace('.yaml', ''));
    hold(
      'give each contract a manifest of its name; what is no part of the base goes to a subfolder',
      names.sort(),
      expected.sort(),
    );
  });

  it('name each object once', () => {
    const names = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    hold('rename one of two: kubectl apply would replace the first by the second', names, [...new Set(names)]);
  });
});

describe.each(services)('%s', (name) => {
  const file = `kubernetes/${name}.yaml`;
  const { spec } = find<Deployment>('Deployment', name);
  const pod = spec.template.spec;
  const container = only(pod.containers);
  const contract = parse(read(`generated/${name}.yaml`)) as Contract;

  it('runs the image that scripts/build_push.sh and the README build, of this version', () => {
    const { version } = JSON.parse(read(`services/${name}/package.json`)) as { version: string };
    const advice = `${file}: name the image by the version in services/${name}/package.json; one of your own, put there by the commands of scripts/build_push.sh, is not to be committed`;
    hold(advice, container.image, `${name}:${version}`);
  });

  it('is given the variables that it reads, and no others', () => {
    const given = container.env.map((variable) => variable.name);
    const known: Record<string, { default?: unknown }> = { ...variables, ...own[name] };
    const missing = Object.entries(known).flatMap(([variable, about]) =>
      about.default === undefined && !given.includes(variable) ? [variable] : [],
    );
    hold(`${file}: add these to env, they have no default`, missing, []);
    const unread = given.filter((variable) => !(variable in known));
    hold(`${file}: remove these from env, no config.ts of the service or the runtime reads them`, unread, []);
  });

  it('listens on the ports that its container names', () => {
    hold(`${file}: name the ports that the service listens on`, container.ports, [
      { name: 'http', containerPort: Number(valueOf(container, 'PORT') ?? variables.PORT.default) },
      { name: 'metrics', containerPort: Number(valueOf(container, 'METRICS_PORT') ?? variables.METRICS_PORT.default) },
    ]);
  });

  it('is probed at addresses that its contract has', () => {
    const probed = [container.startupProbe, container.readinessProbe, container.livenessProbe].map(({ httpGet }) => [
      httpGet && (contract.paths[httpGet.path]?.get?.operationId ?? `nothing at ${httpGet.path}`),
      httpGet?.port,
    ]);
    hold(
      `${file}: probe readiness where the contract has getHealth, the others where it has getLiveness: a pod that waits for its database must not be restarted`,
      probed,
      [
        ['getLiveness', 'http'],
        ['getHealth', 'http'],
        ['getLiveness', 'http'],
      ],
    );
  });

  it('has the time to stop: the delay, then the limit for the requests that it has begun, then 5 s to close', () => {
    const secondsOf = (variable: 'SHUTDOWN_DELAY_MS' | 'SHUTDOWN_LIMIT_MS') =>
      Number(valueOf(container, variable) ?? variables[variable].default) / 1000;
    const delaySeconds = secondsOf('SHUTDOWN_DELAY_MS');
    hold(`${file}: set SHUTDOWN_DELAY_MS to 5000, endpoints need a moment to forget a pod`, delaySeconds >= 2, true);
    const needed = delaySeconds + secondsOf('SHUTDOWN_LIMIT_MS') + 5;
    const enough = pod.terminationGracePeriodSeconds >= needed;
    hold(`${file}: raise terminationGracePeriodSeconds to ${needed}: else requests are cut by SIGKILL`, enough, true);
  });

  it('meets PostgreSQL where that is', () => {
    const { ports } = find<Service>('Service', valueOf(container, 'POSTGRES_HOST') ?? '').spec;
    const port = Number(valueOf(container, 'POSTGRES_PORT') ?? variables.POSTGRES_PORT.default);
    hold(`${file}: set POSTGRES_PORT to the port of that Service`, port, only(ports).port);
    const database = valueOf(postgres, 'POSTGRES_DB');
    hold(
      `${file}: set POSTGRES_DB to the database in postgres-deployment.yaml`,
      valueOf(container, 'POSTGRES_DB'),
      database,
    );
  });

  it('meets its neighbours at their Services', () => {
    for (const { name: variable, value } of container.env.filter((each) => each.name.endsWith('_SERVICE_URL'))) {
      const { hostname, port } = new URL(value ?? '');
      const { ports } = find<Service>('Service', hostname).spec;
      const http = ports.find((each) => each.name === 'http')?.port;
      hold(`${file}: set ${variable} to the port of that Service`, Number(port || 80), http);
    }
  });

  it('has a role with its own schema and its own password', () => {
    const role = valueOf(container, 'POSTGRES_USER') ?? '';
    const schemas = readdirSync(new URL(`services/${name}/migrations/`, root)).flatMap((migration) =>
      [...read(`services/${name}/migrations/${migration}`).matchAll(/create table (\w+)\./g)].map(
        ([, schema]) => schema,
      ),
    );
    hold(
      `kubernetes/postgres-secret.yaml: name the role like the schema of services/${name}/migrations`,
      new Set(schemas),
      new Set([role]),
    );

    const sql = find<ConfigMap>('ConfigMap', 'postgres-init').data['roles.sql'];
    const variable = `${role.toUpperCase()}_PASSWORD`;
    hold(
      `kubernetes/postgres-deployment.yaml: let roles.sql make the role ${role} and its schema, like the others`,
      sql?.split('\n').filter((line) => RegExp(`\\b${role}\\b|\\b${variable}\\b`).test(line)),
      [
        `\\getenv ${role}_password ${variable}`,
        `select 'create role ${role}' where not exists (select from pg_roles where rolname = '${role}') \\gexec`,
        `alter role ${role} login password :'${role}_password';`,
        `grant connect on database task_manager to ${role};`,
        `create schema if not exists ${role} authorization ${role};`,
      ],
    );
    const secret = secretOf(container, 'POSTGRES_PASSWORD');
    hold(`${file}: give ${name} a Secret of its own`, secret?.name, `${name}-postgres`);
    hold(
      `kubernetes/postgres-deployment.yaml: take ${variable} from the Secret of ${name}`,
      secretOf(postgres, variable),
      secret,
    );
  });

  it('is reached through the Ingress under the first server of its contract, without a rewrite', () => {
    const { spec, metadata } = find<Ingress>('Ingress', 'task-manager');
    const { host, http } = only(spec.rules);
    // Of what nginx does by itself, one number; any other controller does without.
    const annotations = { 'nginx.ingress.kubernetes.io/proxy-next-upstream-tries': '10' };
    const about = { host, class: spec.ingressClassName, annotations: metadata.annotations };
    const expected = { host: 'task-user.local', class: 'nginx', annotations };
    hold('kubernetes/ingress.yaml: keep the host and class of the README, and need no annotation', about, expected);
    const path = contract.servers[0]?.url;
    hold(
      `kubernetes/ingress.yaml: lead ${String(path)}, the first server of api/${name}.yaml, to ${name}`,
      http.paths.filter(({ backend }) => backend.service.name === name),
      [{ path, pathType: 'Prefix', backend: { service: { name, port: { name: 'http' } } } }],
    );
    hold(
      `${file}: let the Service lead port 80, named http, to the port http, and 9464 to the metrics`,
      find<Service>('Service', name).spec.ports,
      [
        { name: 'http', port: 80, targetPort: 'http' },
        { name: 'metrics', port: 9464, targetPort: 'metrics' },
      ],
    );
  });

  it('loses no replica while it is rolled out, and one at a time when nodes are drained or lost', () => {
    hold(`${file}: run two replicas or more`, spec.replicas >= 2, true);
    hold(`${file}: set maxUnavailable to 0`, spec.strategy.rollingUpdate?.maxUnavailable, 0);
    const selector = { matchLabels: { 'app.kubernetes.io/name': name } };
    const { spec: budget } = find<Manifest & { spec: object }>('PodDisruptionBudget', name);
    const expected = { maxUnavailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow', selector };
    hold(`${file}: let a budget spare all but one of these pods`, budget, expected);
    const spread = pod.topologySpreadConstraints?.map(({ topologyKey, labelSelector }) => [topologyKey, labelSelector]);
    hold(`${file}: spread these pods over the nodes`, spread, [['kubernetes.io/hostname', selector]]);
  });

  it('is let through to what its environment names, and to nothing else', () => {
    const asked = container.env.flatMap(({ name: variable, value = '' }) =>
      variable === 'POSTGRES_HOST' ? [value] : variable.endsWith('_SERVICE_URL') ? [new URL(value).hostname] : [],
    );
    const { egress } = find<NetworkPolicy>('NetworkPolicy', name).spec;
    const names = egress?.flatMap(({ to }) => to.map(({ podSelector }) => nameIn(podSelector)));
    hold(
      `${file}: let the NetworkPolicy lead to what the service asks, and to names`,
      names?.sort(),
      [...asked, 'kube-dns'].sort(),
    );
    for (const host of asked) {
      const open = find<NetworkPolicy>('NetworkPolicy', host).spec.ingress?.flatMap(({ from }) =>
        from.flatMap(({ podSelector }) => nameIn(podSelector) ?? podSelector?.matchExpressions?.[0]?.values ?? []),
      );
      hold(`the NetworkPolicy of ${host}: let ${name} in`, open, expect.arrayContaining([name]));
    }
  });
});

describe('postgres', () => {
  const { spec } = find<Deployment>('Deployment', 'postgres');
  const pod = spec.template.spec;

  it('is one server at a time', () => {
    const { spec: volume } = find<Volume>('PersistentVolume', 'postgres');
    const about = { replicas: spec.replicas, strategy: spec.strategy.type, accessModes: volume.accessModes };
    const expected = { replicas: 1, strategy: 'Recreate', accessModes: ['ReadWriteOncePod'] };
    hold('let no two servers write to one volume: they would destroy it', about, expected);
  });

  it('has the folder of the node by its claim', () => {
    const { spec: volume, metadata } = find<Volume>('PersistentVolume', 'postgres');
    const claim = find<Claim>('PersistentVolumeClaim', 'postgres');
    const mounted = pod.volumes?.find(({ name }) => name === 'data')?.persistentVolumeClaim?.claimName;
    hold('kubernetes/postgres-deployment.yaml: name the claim of postgres-pv.yaml', mounted, claim.metadata.name);
    hold(
      'kubernetes/postgres-pv.yaml: claim the very volume, and by no class: that would make an empty one',
      claim.spec,
      {
        volumeName: metadata.name,
        accessModes: volume.accessModes,
        storageClassName: '',
        resources: { requests: volume.capacity },
      },
    );
    const kept = [volume.storageClassName, volume.persistentVolumeReclaimPolicy, volume.hostPath.path];
    hold('kubernetes/postgres-pv.yaml: keep the folder, and the data in it', kept, [
      '',
      'Retain',
      '/mnt/data/postgres',
    ]);
  });

  it('keeps its data in the volume, and finds its first script', () => {
    const places = new Map(postgres.volumeMounts?.map(({ name, mountPath }) => [name, mountPath]));
    const volumes = pod.volumes?.map(({ name }) => name).sort();
    hold('kubernetes/postgres-deployment.yaml: mount each volume, and no other', [...places.keys()].sort(), volumes);
    const script = pod.volumes?.find(({ name }) => name === 'init')?.configMap?.name ?? '';
    hold(
      'kubernetes/postgres-deployment.yaml: mount them where the image looks for them',
      {
        data: places.get('data'),
        init: places.get('init'),
        scripts: Object.keys(find<ConfigMap>('ConfigMap', script).data),
      },
      { data: '/var/lib/postgresql', init: '/docker-entrypoint-initdb.d', scripts: ['roles.sql'] },
    );
  });

  it('runs as whom the folder is given to', () => {
    const owner = `${String(pod.securityContext.runAsUser)}:${String(pod.securityContext.runAsGroup)}`;
    const advice = 'README.md and kubernetes/postgres-pv.yaml: give the folder to the user in postgres-deployment.yaml';
    const owners = ['README.md', 'kubernetes/postgres-pv.yaml'].map(
      (path) => /chown (\S+) \/mnt\/data\/postgres/.exec(read(path))?.[1],
    );
    hold(advice, owners, [owner, owner]);
  });
});

describe.each(['postgres', ...services])('the pod of %s', (name) => {
  const { spec } = find<Deployment>('Deployment', name);
  const pod = spec.template.spec;
  const container = only(pod.containers);

  it('bears the name by which its Deployment and its Service find it', () => {
    const { selector, ports } = find<Service>('Service', name).spec;
    const labels = { 'app.kubernetes.io/name': name };
    const { matchLabels } = spec.selector;
    hold(
      `label and select the pod of ${name} alike`,
      [matchLabels, selector, spec.template.metadata.labels],
      [labels, labels, { ...labels, 'app.kubernetes.io/part-of': 'task-manager' }],
    );
    const named = container.ports.map((port) => port.name);
    const lost = ports.filter(({ targetPort }) => !named.includes(targetPort));
    hold(`let the Service ${name} lead to ports that the container names`, lost, []);
  });

  it('is refused whatever no NetworkPolicy lists', () => {
    const { podSelector, policyTypes } = find<NetworkPolicy>('NetworkPolicy', name).spec;
    const expected = [{ matchLabels: { 'app.kubernetes.io/name': name } }, ['Ingress', 'Egress']];
    hold(`give ${name} a NetworkPolicy for both ways`, [podSelector, policyTypes], expected);
  });

  it('finds the Secrets that it names', () => {
    const missing = container.env.filter((variable) => variable.valueFrom && !valueOf(container, variable.name));
    hold('kubernetes/postgres-secret.yaml: add the keys that these take', missing, []);
  });

  it('has a pinned image, a limit to what it takes, and no more rights than it needs', () => {
    hold('name a version of the image, never latest', /:\d/.test(container.image), true);
    hold('let nodes use the image that they have', container.imagePullPolicy, 'IfNotPresent');
    const amounts = { cpu: expect.anything(), memory: expect.anything() };
    hold('set requests and limits', container.resources, { requests: amounts, limits: amounts });
    // The Service named postgres would else put a POSTGRES_PORT of its own, tcp://…, into the environment.
    hold('set enableServiceLinks to false', pod.enableServiceLinks, false);
    const { automountServiceAccountToken, securityContext } = pod;
    hold(
      'keep to the Pod Security Standard named restricted, and to a read-only file system',
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
