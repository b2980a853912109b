/**
 * `npm start`: PostgreSQL, two replicas of each service and the gateway, until Ctrl-C. `--watch` (`npm run dev`) restarts
 * a service when its source or contract changes. Environment:
 *
 * - `PORT`: of the gateway; 8080. The other ports move with it, so that two copies run side by side;
 * - `DATA_DIR`: where the embedded PostgreSQL keeps its data; `.data`;
 * - `POSTGRES_HOST` and the other `POSTGRES_*`: use that server and start none;
 * - what the services read, such as `LOG_LEVEL`.
 *
 * Exits with 0 when it was told to stop, and with 1 and one line on standard error when something cannot start.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import getPort from 'get-port';
import { startDatabase, type Database } from './database.ts';
import { checkHealth, readPort, readRoutes, servicesOf, startGateway, type Gateway, type Route } from './gateway.ts';
import { printLine, say } from './log.ts';
import { runReplica, type Replica } from './replicas.ts';
import { runUntilStopped } from './until-stopped.ts';
import { watchSources } from './watch.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const usualPort = 8080;
const replicasPerService = 2;
const readyTimeoutMs = 15_000;
const colours = ['cyan', 'magenta', 'yellow', 'white'] as const;

/** What the services are given unless the environment says otherwise. */
const defaults = {
  LOG_LEVEL: 'info',
  VALIDATE_RESPONSES: 'true',
  // Until the gateway has noticed that a replica is about to go.
  SHUTDOWN_DELAY_MS: '600',
};

type RunningReplica = Replica & Place;

const running: { gateway?: Gateway; replicas: RunningReplica[]; database?: Database } = { replicas: [] };

await runUntilStopped({
  name: 'npm start',
  start,
  // In order: nothing new comes in, what has begun is finished, and only then the database goes.
  async stop() {
    await running.gateway?.close();
    await Promise.all(running.replicas.map((replica) => replica.stop()));
    await running.database?.stop();
  },
  kill() {
    for (const replica of running.replicas) replica.kill();
  },
});

async function start(stopped: AbortSignal): Promise<void> {
  const port = readPort(usualPort);
  const routes = readRoutes(await readFile(join(root, 'kubernetes/ingress.yaml'), 'utf8'));
  const services = servicesOf(routes);
  const unbuilt = services.find((service) => !existsSync(entryOf(service)));
  if (unbuilt) throw new Error(`services/${unbuilt} is not built: run npm run build`);
  const places = await findPlaces(services, port);

  // The gateway first: it says at once when its port is taken, and answers 503 until a replica is ready.
  running.gateway = await startGateway({ port, routes, replicas: places });
  const dataDir = resolve(process.env.DATA_DIR ?? join(root, '.data'));
  running.database = await startDatabase({ dataDir, port: await freePort(5433, port), services });
  stopped.throwIfAborted();
  const url = `http://localhost:${port}`;
  await startReplicas(places, url, running.database, running.gateway, stopped);

  printTable(url, routes, running.database);
  if (process.argv.includes('--watch')) watchSources(root, services, (changed) => restartReplicas(changed, stopped));
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

async function findPlaces(services: string[], gatewayPort: number): Promise<Place[]> {
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

/**
 * Resolves when the first replica of each service is ready, and the others start: on few cores the system answers sooner
 * so. When it takes long, for a database that is away, it says so and goes on.
 */
async function startReplicas(
  places: Place[],
  url: string,
  database: Database,
  gateway: Gateway,
  stopped: AbortSignal,
): Promise<void> {
  let starting = true;
  let failure: string | undefined;
  const run = (place: Place) =>
    runAt(place, url, database, (reason) => {
      if (starting) failure ??= `${place.name} does not start (${reason})`;
      else say(`${place.name} ended by itself (${reason}): it is started again`);
    });
  running.replicas = places.filter(({ number }) => number === 1).map(run);
  const ready = await until(() => {
    if (failure) throw new Error(failure);
    return gateway.ready();
  }, stopped);
  stopped.throwIfAborted();
  if (!ready) say('not every service is ready yet: the lines above say why');
  starting = false;
  running.replicas.push(...places.filter(({ number }) => number > 1).map(run));
  running.replicas.sort((a, b) => a.name.localeCompare(b.name));
}

function runAt(place: Place, url: string, database: Database, onEnd: (reason: string) => void): RunningReplica {
  const { name, service, port, metricsPort, colour } = place;
  // Services meet through the gateway, as in a cluster through their Services.
  const places = { PORT: String(port), METRICS_PORT: String(metricsPort), USER_SERVICE_URL: `${url}/user` };
  const replica = runReplica({
    command: [entryOf(service)],
    environment: { ...defaults, ...process.env, ...database.environmentOf(service), ...places },
    print(line) {
      printLine(name, colour, line);
    },
    onEnd,
  });
  return { ...place, ...replica };
}

/** One replica at a time, so that the others serve meanwhile; stops at one that does not become ready. */
async function restartReplicas(services: string[], stopped: AbortSignal): Promise<void> {
  for (const replica of running.replicas.filter(({ service }) => services.includes(service))) {
    await replica.restart();
    const ready = await until(async () => (await checkHealth(replica.port)) === 'ready', stopped);
    if (stopped.aborted) return;
    if (!ready) {
      say(`${replica.name} is not ready: the replicas after it were not restarted`);
      return;
    }
  }
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

function printTable(url: string, routes: Route[], database: Database): void {
  const [line, ...more] = database.description;
  const rows = [
    ...routes.toReversed().map(({ service, path }) => [service, `${url}${path}/`, 'pages and API reference']),
    ...running.replicas.map(({ name, port, metricsPort, pid }) => [
      ...[name, `http://localhost:${port}/`],
      `process ${pid()}, metrics http://localhost:${metricsPort}/metrics`,
    ]),
    ['PostgreSQL', line],
    ...more.map((line) => ['', line]),
  ];
  const lines = rows.map(([name = '', place = '', what = '']) =>
    `  ${name.padEnd(16)}${place.padEnd(29)} ${what}`.trimEnd(),
  );
  console.log(`\nTask Manager runs: open ${url}/ in a browser.\n\n${lines.join('\n')}\n\nCtrl-C stops everything.\n`);
}

function entryOf(service: string): string {
  return join(root, 'services', service, 'dist/main.js');
}
