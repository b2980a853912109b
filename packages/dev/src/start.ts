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
import { join, resolve } from 'node:path';
import { readPort, servicesOf } from './gateway.ts';
import { printLine } from './log.ts';
import { root } from './repository.ts';
import { System, type Running } from './system.ts';
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

function printTable({ url, routes, replicas, database }: Running): void {
  const [line, ...more] = database.description;
  const rows = [
    ...routes.toReversed().map(({ service, path }) => [service, `${url}${path}/`, 'pages and API reference']),
    ['docs', `${url}/docs`, 'both on one page'],
    ...replicas.map(({ name, port, metricsPort, pid }) => [
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
