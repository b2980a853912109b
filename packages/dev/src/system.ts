/**
 * The whole system on one machine: PostgreSQL, replicas of the services, and the gateway before them. It is what
 * `npm start` runs, and on a throw-away database the sandbox.
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

const usualPort = 8080;
const readyTimeoutMs = 15_000;
const colours = ['cyan', 'magenta', 'yellow', 'white'] as const;

/** What the services are given unless the environment says otherwise. */
const defaults = {
  LOG_LEVEL: 'info',
  VALIDATE_RESPONSES: 'true',
  // Until the gateway has noticed that a replica is about to go.
  SHUTDOWN_DELAY_MS: '600',
};

export interface SystemOptions {
  /** Of the gateway. The other ports move with it, so that two systems run side by side. */
  port: number;
  /** Where the embedded PostgreSQL keeps its data. */
  dataDir: string;
  replicasPerService: number;
  /** What the gateway does itself, by method and path. */
  commands?: Record<string, () => Promise<void>>;
  /** Called with each line that a replica writes. */
  print: (name: string, style: Style, line: string) => void;
}

export interface Running {
  url: string;
  routes: Route[];
  replicas: (Replica & Place)[];
  database: Database;
}

export class System {
  readonly #options: SystemOptions;
  #gateway: Gateway | undefined;
  #database: Database | undefined;
  #replicas: (Replica & Place)[] = [];

  constructor(options: SystemOptions) {
    this.#options = options;
  }

  /** Resolves when each service can serve. Throws an Error of one line; `stop` ends what had begun. */
  async start(stopped: AbortSignal): Promise<Running> {
    const { port, dataDir, replicasPerService, commands } = this.#options;
    const routes = readRoutes(await readFile(join(root, 'kubernetes/ingress.yaml'), 'utf8'));
    const services = servicesOf(routes);
    const unbuilt = services.find((service) => !existsSync(entryOf(service)));
    if (unbuilt) throw new Error(`services/${unbuilt} is not built: run npm run build`);
    const places = await findPlaces(services, port, replicasPerService);

    // The gateway first: it says at once when its port is taken, and answers 503 until a replica is ready.
    this.#gateway = await startGateway({ port, routes, replicas: places, ...(commands && { commands }) });
    this.#database = await startDatabase({ dataDir, port: await freePort(5433, port), services });
    stopped.throwIfAborted();
    await this.#startReplicas(places, this.#gateway, this.#database, stopped);
    return { url: `http://localhost:${port}`, routes, replicas: this.#replicas, database: this.#database };
  }

  /** In order: nothing new comes in, what has begun is finished, and only then the database goes. */
  async stop(): Promise<void> {
    await this.#gateway?.close();
    await Promise.all(this.#replicas.map((replica) => replica.stop()));
    await this.#database?.stop();
  }

  /** Ends the replicas at once. */
  kill(): void {
    for (const replica of this.#replicas) replica.kill();
  }

  /** One replica at a time, so that the others serve meanwhile; stops at one that does not become ready. */
  async restart(services: string[], stopped: AbortSignal): Promise<void> {
    for (const replica of this.#replicas.filter(({ service }) => services.includes(service))) {
      await replica.restart();
      const ready = await until(async () => (await checkHealth(replica.port)) === 'ready', stopped);
      if (stopped.aborted) return;
      if (!ready) {
        say(`${replica.name} is not ready: the replicas after it were not restarted`);
        return;
      }
    }
  }

  /**
   * Resolves when the first replica of each service is ready, and the others start: on few cores the system answers
   * sooner so. When it takes long, for a database that is away, it says so and goes on.
   */
  async #startReplicas(places: Place[], gateway: Gateway, database: Database, stopped: AbortSignal): Promise<void> {
    let starting = true;
    let failure: string | undefined;
    const run = (place: Place) =>
      this.#run(place, database, (reason) => {
        if (starting) failure ??= `${place.name} does not start (${reason})`;
        else say(`${place.name} ended by itself (${reason}): it is started again`);
      });
    this.#replicas = places.filter(({ number }) => number === 1).map(run);
    const ready = await until(() => {
      if (failure) throw new Error(failure);
      return gateway.ready();
    }, stopped);
    stopped.throwIfAborted();
    if (!ready) say('not every service is ready yet: the lines above say why');
    starting = false;
    this.#replicas.push(...places.filter(({ number }) => number > 1).map(run));
    this.#replicas.sort((a, b) => a.name.localeCompare(b.name));
  }

  #run(place: Place, database: Database, onEnd: (reason: string) => void): Replica & Place {
    const { name, service, port, metricsPort, colour } = place;
    // Services meet through the gateway, as in a cluster through their Services.
    const usersUrl = `http://localhost:${this.#options.port}/user`;
    const places = { PORT: String(port), METRICS_PORT: String(metricsPort), USER_SERVICE_URL: usersUrl };
    const replica = runReplica({
      command: commandOf(service),
      environment: { ...defaults, ...process.env, ...database.environmentOf(service), ...places },
      print: (line) => {
        this.#options.print(name, colour, line);
      },
      onEnd,
    });
    return { ...place, ...replica };
  }
}

/** Where a replica listens. */
interface Place {
  name: string;
  service: string;
  number: number;
  port: number;
  metricsPort: number;
  /** Of its name before its lines. */
  colour: (typeof colours)[number];
}

/** A free port for a system that nobody knows the ports of: for its gateway, or the first of those that it uses. */
export async function findPort(): Promise<number> {
  for (;;) {
    // Below the ephemeral ports, far enough apart for a whole system, and never 10080, which fetch blocks.
    const port = 10_020 + 40 * randomInt(500);
    if ((await getPort({ port })) === port) return port;
  }
}

async function findPlaces(services: string[], gatewayPort: number, replicasPerService: number): Promise<Place[]> {
  const places: Place[] = [];
  for (const [i, service] of services.entries()) {
    for (let number = 1; number <= replicasPerService; number++) {
      places.push({
        name: `${service}-${number}`,
        service,
        number,
        port: await freePort(usualPort + 1 + places.length, gatewayPort),
        metricsPort: await freePort(9464 + places.length, gatewayPort),
        colour: colours[i % colours.length] ?? 'white',
      });
    }
  }
  return places;
}

/** As far from its usual place as the gateway is from 8080, so that two copies do not meet; any port if that is taken. */
async function freePort(usual: number, gatewayPort: number): Promise<number> {
  const port = usual + gatewayPort - usualPort;
  return await getPort(port >= 1024 && port <= 65535 ? { port } : {});
}

/** Whether the condition came true in time, and before we were stopped. */
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

/** What node is given to run a service that was built in `folder`: the flags that it has in its image, and its entry. */
export function commandOf(service: string, folder = root): string[] {
  const dockerfile = readFileSync(join(folder, 'services/Dockerfile'), 'utf8');
  const [, command = '[]'] = /^CMD (\[.*\])$/m.exec(dockerfile) ?? [];
  const flags = (JSON.parse(command) as string[]).slice(1, -1);
  return [...flags, entryOf(service, folder)];
}
