/**
 * `npm run mock`: serves the examples of the contracts, for frontend development, until Ctrl-C. Prism mocks each contract
 * behind the gateway, on `PORT`, 4010 by default.
 *
 * Exits with 0 after a signal, and with 1 and one line on standard error when something cannot start.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import getPort from 'get-port';
import { parse } from 'yaml';
import { readPort, readRoutes, servicesOf, startGateway, type Gateway, type Route } from './gateway.ts';
import { printLine } from './log.ts';
import { root } from './repository.ts';
import { runReplica, type Replica } from './supervisor.ts';
import { runUntilStopped } from './command.ts';

const prism = fileURLToPath(import.meta.resolve('@stoplight/prism-cli/dist/index.js'));
const running: { gateway?: Gateway; mocks: Replica[]; folder?: string } = { mocks: [] };

await runUntilStopped({
  name: 'npm run mock',
  start,
  async stop() {
    await running.gateway?.close();
    await Promise.all(running.mocks.map((mock) => mock.stop()));
    if (running.folder) await rm(running.folder, { recursive: true });
  },
  kill() {
    for (const mock of running.mocks) mock.kill();
  },
});

async function start(stopped: AbortSignal): Promise<void> {
  const port = readPort(4010);
  const routes = readRoutes(await readFile(join(root, 'kubernetes/ingress.yaml'), 'utf8'));
  const replicas: { service: string; port: number }[] = [];
  for (const service of servicesOf(routes)) replicas.push({ service, port: await getPort() });
  const contracts = new Map<string, Contract>();
  for (const { service } of replicas) contracts.set(service, await readContract(service));
  const all = [...routes, ...routesInside(contracts)].sort((one, other) => other.path.length - one.path.length);
  running.gateway = await startGateway({ port, routes: all, replicas });
  running.folder = await mkdtemp(join(tmpdir(), 'task-manager-mock-'));
  const operations: string[] = [];
  for (const { service, port } of replicas) {
    const contract = contracts.get(service) as Contract;
    const file = join(running.folder, `${service}.json`);
    await writeFile(file, JSON.stringify(withServerPaths(contract), adapt));
    running.mocks.push(mock(service, file, port));
    operations.push(...operationsOf(contract));
  }
  while (!running.gateway.ready()) await sleep(50, undefined, { signal: stopped });
  printOperations(`http://localhost:${port}`, operations);
}

function mock(service: string, contract: string, port: number): Replica {
  const print = (line: string) => {
    printLine(service, 'cyan', line);
  };
  return runReplica({
    command: [prism, 'mock', contract, '--port', String(port), '--verboseLevel', 'warn'],
    environment: process.env,
    print,
    onEnd(reason) {
      print(`exited unexpectedly (${reason}): restarting it`);
    },
  });
}

async function readContract(service: string): Promise<Contract> {
  return parse(await readFile(join(root, 'generated', `${service}.yaml`), 'utf8')) as Contract;
}

/** Routes without the prefix of the service, as inside the cluster: `/users`. A path of both is the task service's. */
function routesInside(contracts: Map<string, Contract>): Route[] {
  return [...contracts].flatMap(([service, { paths }]) =>
    Object.keys(paths).map((path) => ({ host: 'localhost', path: path.replace(/\/\{.*/, ''), service })),
  );
}

/** Prefixes each path with the paths of `servers`, which Prism ignores: `/user/users` and `/users`. */
function withServerPaths(contract: Contract): Contract {
  const paths = contract.servers.flatMap((server) =>
    Object.entries(contract.paths).map(([path, item]) => [pathUnder(server, path), item] as const),
  );
  return { ...contract, paths: Object.fromEntries(paths) };
}

/** Prism answers an invalid request with 422, or with the one example of 400. */
function adapt(name: string, value: unknown): unknown {
  // The services return 400, and 422 only for a reused key.
  if (name === '422') return undefined;
  if (name !== 'invalid-request') return value;
  const example = value as { value: object };
  const detail = 'This is an example. The header sl-violations lists what is invalid in your request.';
  return { ...example, value: { ...example.value, detail } };
}

/** A line per operation: `GET /user/users  List users`. */
function operationsOf({ servers: [outside], paths }: Contract): string[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([, operation]) => operation.operationId)
      .map(
        ([method, { summary }]) =>
          `${method.toUpperCase().padEnd(5)} ${pathUnder(outside, path).padEnd(22)} ${summary}`,
      ),
  );
}

function pathUnder(server: Contract['servers'][0] | undefined, path: string): string {
  return (server?.url ?? '').replace(/\/$/, '') + path;
}

function printOperations(url: string, operations: string[]): void {
  console.log(`
The mocks are running at ${url}, with the examples of the contracts:

  ${operations.join('\n  ')}

  curl ${url}/user/users
  curl ${url}/tasks -H "Content-Type: application/json" -d '{"title":"Buy milk"}'
  curl ${url}/tasks -H "Prefer: code=503"        any response in the contract

Ctrl-C stops them.
`);
}

/** The parts of an OpenAPI document that the mocks need. */
interface Contract {
  servers: { url: string }[];
  paths: Record<string, Record<string, { operationId?: string; summary?: string }>>;
}
