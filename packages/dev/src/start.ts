/**
 * `npm start`: runs PostgreSQL, two replicas of each service and the gateway, until Ctrl-C. `--watch` (`npm run dev`)
 * restarts a service when its source or contract changes. Environment:
 *
 * - `PORT`: the port of the gateway, 8080 by default. The other ports move with it, so that two copies can run;
 * - `DATA_DIR`: the data folder of the embedded PostgreSQL, `.data` by default;
 * - `POSTGRES_HOST` and the other `POSTGRES_*`: use this server instead of the embedded one;
 * - the settings of the services, such as `LOG_LEVEL`.
 *
 * Exits with 0 after a signal, and with 1 and one line on standard error when something cannot start.
 */
import { join, resolve } from 'node:path';
import { readPort, servicesOf } from './gateway.ts';
import { printLine } from './log.ts';
import { root } from './repository.ts';
import { System, type RunningSystem } from './system.ts';
import { runUntilStopped } from './command.ts';
import { watchSources } from './watch.ts';

let system: System | undefined;

await runUntilStopped({
  name: 'npm start',
  async start(stopped) {
    const port = readPort(8080);
    const dataDir = resolve(process.env.DATA_DIR ?? join(root, '.data'));
    system = new System({ port, dataDir, replicasPerService: 2, print: printLine });
    const running = await system.start(stopped);
    printTable(running);
    if (process.argv.includes('--watch')) {
      watchSources(root, servicesOf(running.routes), async (changed) => system?.restart(changed, stopped));
    }
  },
  stop: async () => system?.stop(),
  kill: () => system?.kill(),
});

function printTable({ url, routes, replicas, database }: RunningSystem): void {
  const [line, ...more] = database.description;
  const rows = [
    ...routes.toReversed().map(({ service, path }) => [service, `${url}${path}/`, 'pages and API reference']),
    ['docs', `${url}/docs`, 'API reference of both'],
    ...replicas.map(({ name, port, metricsPort, pid }) => [
      ...[name, `http://localhost:${port}/`],
      `process ${pid()}, metrics http://localhost:${metricsPort}/metrics`,
    ]),
    ['PostgreSQL', line],
    ...more.map((line) => ['', line]),
  ];
  const lines = rows.map(([name = '', address = '', details = '']) =>
    `  ${name.padEnd(16)}${address.padEnd(29)} ${details}`.trimEnd(),
  );
  console.log(
    `\nTask Manager is running: open ${url}/ in a browser.\n\n${lines.join('\n')}\n\nCtrl-C stops everything.\n`,
  );
}
