/**
 * The whole system on one machine: PostgreSQL, replicas of the services, and a gateway in front of them. `npm start` runs
 * it on a persistent database, the sandbox on a temporary one.
 */
import { randomInt } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import getPort from 'get-port';
import { startDatabase, type Database } from './database.ts';
import { checkHealth, readRoutes, servicesOf, startGateway, type Gateway, type Route } from './gateway.ts';
import { say, type Style } from './log.ts';
import { root } from './repository.ts';
import { runReplica, type Replica } from './supervisor.ts';

const defaultPort = 8080;
const readyTimeoutMs = 15_000;
const colours = ['cyan', 'magenta', 'yellow', 'white'] as const;

/** The environment of the services, unless it is set. */
const defaults = {
  LOG_LEVEL: 'info',
  VALIDATE_RESPONSES: 'true',
  // Time for the gateway to notice that a replica is shutting down.
  SHUTDOWN_DELAY_MS: '600',
};

export interface SystemOptions {
  /** The port of the gateway. The other ports move with it, so that two systems can run. */
  port: number;
  /** The data folder of the embedded PostgreSQL. */
  dataDir: string;
  replicasPerService: number;
  /** The requests that the gateway handles itself, by method and path. */
  commands?: Record<string, () => Promise<void>>;
  /** Called with each line of a replica's output. */
  print: (name: string, style: Style, line: string) => void;
}

export interface RunningSystem {
  url: string;
  routes: Route[];
  replicas: (Replica & ReplicaAddress)[];
  database: Database;
}

export class System {
  readonly #options: SystemOptions;
  #gateway: Gateway | undefined;
  #database: Database | undefined;
  #replicas: (Replica & ReplicaAddress)[] = [];

  constructor(options: SystemOptions) {
    this.#options = options;
  }

  /** Resolves when each service is ready. Throws an Error of one line; call `stop` then, too. */
  async start(stopped: AbortSignal): Promise<RunningSystem> {
    const { port, dataDir, replicasPerService, commands } = this.#options;
    const routes = readRoutes(await readFile(join(root, 'kubernetes/ingress.yaml'), 'utf8'));
    const services = servicesOf(routes);
    const unbuilt = services.find((service) => !existsSync(entryOf(service)));
    if (unbuilt) throw new Error(`services/${unbuilt} is not built: run npm run build`);
    const addresses = await findAddresses(services, port, replicasPerService);

    // The gateway first: it fails at once when its port is taken, and returns 503 until a replica is ready.
    this.#gateway = await startGateway({ port, routes, replicas: addresses, ...(commands && { commands }) });
    this.#database = await startDatabase({ dataDir, port: await freePort(5433, port), services });
    stopped.throwIfAborted();
    await this.#startReplicas(addresses, this.#gateway, this.#database, stopped);
    return { url: `http://localhost:${port}`, routes, replicas: this.#replicas, database: this.#database };
  }

  /** Closes the gateway, then drains the replicas, then stops the database. */
  async stop(): Promise<void> {
    await this.#gateway?.close();
    await Promise.all(this.#replicas.map((replica) => replica.stop()));
    await this.#database?.stop();
  }

  /** Kills the replicas. */
  kill(): void {
    for (const replica of this.#replicas) replica.kill();
  }

  /** Restarts one replica at a time, so that the others serve, until one does not become ready. */
  async restart(services: string[], stopped: AbortSignal): Promise<void> {
    for (const replica of this.#replicas.filter(({ service }) => services.includes(service))) {
      await replica.restart();
      const ready = await until(async () => (await checkHealth(replica.port)) === 'ready', stopped);
      if (stopped.aborted) return;
      if (!ready) {
        say(`${replica.name} is not ready: the next replicas were not restarted`);
        return;
      }
    }
  }

  /**
   * Resolves when the first replica of each service is ready; on few cores the system is ready sooner that way. When it
   * takes long because the database is unavailable, it prints a line and continues.
   */
  async #startReplicas(
    addresses: ReplicaAddress[],
    gateway: Gateway,
    database: Database,
    stopped: AbortSignal,
  ): Promise<void> {
    let starting = true;
    let failure: string | undefined;
    const run = (address: ReplicaAddress) =>
      this.#run(address, database, (reason) => {
        if (starting) failure ??= `${address.name} cannot start (${reason})`;
        else say(`${address.name} exited unexpectedly (${reason}): restarting it`);
      });
    this.#replicas = addresses.filter(({ number }) => number === 1).map(run);
    const ready = await until(() => {
      if (failure) throw new Error(failure);
      return gateway.ready();
    }, stopped);
    stopped.throwIfAborted();
    if (!ready) say('some services are not ready yet: see the lines above');
    starting = false;
    this.#replicas.push(...addresses.filter(({ number }) => number > 1).map(run));
    this.#replicas.sort((a, b) => a.name.localeCompare(b.name));
  }

  #run(address: ReplicaAddress, database: Database, onEnd: (reason: string) => void): Replica & ReplicaAddress {
    const { name, service, port, metricsPort, colour } = address;
    const replica = runReplica({
      command: commandOf(service),
      environment: {
        ...defaults,
        ...process.env,
        ...database.environmentOf(service),
        ...{ LISTEN_ADDRESS: '127.0.0.1', PORT: String(port), METRICS_PORT: String(metricsPort) },
        // Services call each other through the gateway, as through a Service in a cluster.
        USER_SERVICE_URL: `http://localhost:${this.#options.port}/user`,
      },
      print: (line) => {
        this.#options.print(name, colour, line);
      },
      onEnd,
    });
    return { ...address, ...replica };
  }
}

/** A replica and its ports. */
interface ReplicaAddress {
  name: string;
  service: string;
  number: number;
  port: number;
  metricsPort: number;
  /** The colour of its name in the output. */
  colour: (typeof colours)[number];
}

/** A free port for the gateway of another system, far enough from those of others. */
export async function findPort(): Promise<number> {
  for (;;) {
    // Below the ephemeral ports, 40 apart for a whole system, and never 10080, which fetch blocks.
    const port = 10_020 + 40 * randomInt(500);
    if ((await getPort({ port })) === port) return port;
  }
}

async function findAddresses(
  services: string[],
  gatewayPort: number,
  replicasPerService: number,
): Promise<ReplicaAddress[]> {
  const addresses: ReplicaAddress[] = [];
  for (const [i, service] of services.entries()) {
    for (let number = 1; number <= replicasPerService; number++) {
      addresses.push({
        name: `${service}-${number}`,
        service,
        number,
        port: await freePort(defaultPort + 1 + addresses.length, gatewayPort),
        metricsPort: await freePort(9464 + addresses.length, gatewayPort),
        colour: colours[i % colours.length] ?? 'white',
      });
    }
  }
  return addresses;
}

/** The default port, moved as far as the gateway's is from 8080; any free port if that is taken. */
async function freePort(basePort: number, gatewayPort: number): Promise<number> {
  const port = basePort + gatewayPort - defaultPort;
  return await getPort(port >= 1024 && port <= 65535 ? { port } : {});
}

/** Returns whether the condition became true before the timeout and the stop signal. */
async function until(condition: () => boolean | Promise<boolean>, stopped: AbortSignal): Promise<boolean> {
  const deadline = Date.now() + readyTimeoutMs;
  while (!(await condition())) {
    if (stopped.aborted || Date.now() > deadline) return false;
    await sleep(25);
  }
  return true;
}

function entryOf(service: string, folder = root): string {
  return join(folder, 'services', service, 'dist/main.js');
}

/** Node's arguments to run a service that was built in `folder`: the flags of its image and its entry point. */
export function commandOf(service: string, folder = root): string[] {
  const dockerfile = readFileSync(join(folder, 'services/Dockerfile'), 'utf8');
  const [, command = '[]'] = /^CMD (\[.*\])$/m.exec(dockerfile) ?? [];
  const flags = (JSON.parse(command) as string[]).slice(1, -1);
  return [...flags, entryOf(service, folder)];
}
