/**
 * `npm run scorecard [-- --write] [-- --overload SECONDS]`: how the running system treats invalid input, slow clients,
 * followers of a feed, stops, faults and settings of its database, and twice the load that it can serve: a table of measured values
 * and targets. It starts a system of its own and takes about six minutes. `--overload 600` measures overload for ten
 * minutes instead of one, and takes 26. `--write` puts the table into README.md. Exits with 1 when a target is missed.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { runToEnd } from '@task-manager/dev/command';
import { SystemUnderTest } from '@task-manager/testing/system-under-test';
import { alignedTable, writeTable } from '@task-manager/testing/tables';
import { measureDatabases } from './databases.ts';
import { measureFaults } from './faults.ts';
import { isMet, rowsOf, type Figure } from './figures.ts';
import { measureFollowers } from './followers.ts';
import { measureGracefulStop } from './graceful-stop.ts';
import { measureInvalidInput } from './invalid-input.ts';
import { measureOverload } from './overload.ts';
import { measureSlowClients } from './slow-clients.ts';

const maxDetailsShown = 6;
const followSeconds = 60;
const { values } = parseArgs({ options: { write: { type: 'boolean' }, overload: { type: 'string', default: '60' } } });
const print = console.error;

await runToEnd('npm run scorecard', async (stopped) => {
  const system = new SystemUnderTest();
  const figures: Figure[] = [];
  try {
    print('Starting PostgreSQL, two replicas of each service and the gateway …');
    await system.open(stopped);
    const replicaUrl = system.replicasOf('task-service')[0]?.url ?? '';
    print('Invalid input, at the gateway and at a replica …');
    figures.push(...(await measureInvalidInput([system.url, replicaUrl])));
    print('Slow clients …');
    figures.push(...(await measureSlowClients(replicaUrl)));
    print('Followers of a feed …');
    figures.push(...(await measureFollowers(replicaUrl, followSeconds)));
    print('SIGTERM under load …');
    figures.push(...(await measureGracefulStop(system, stopped)));
    figures.push(...(await measureFaults(system, stopped, print)));
    print("Other people's databases …");
    figures.push(...(await measureDatabases(system, stopped)));
    figures.push(...(await measureOverload(system, Number(values.overload), print)));
  } finally {
    await system.close();
  }
  report(figures);
  if (values.write) await writeFigures(figures);
  if (!figures.every(isMet)) process.exitCode = 1;
});

function report(figures: Figure[]): void {
  const [header, ...lines] = alignedTable(rowsOf(figures)).split('\n');
  console.log(header);
  for (const [index, line] of lines.entries()) {
    console.log([line, ...(figures[index]?.details?.slice(0, maxDetailsShown) ?? [])].join('\n    '));
  }
}

/** Writes the table into README.md. */
async function writeFigures(figures: Figure[]): Promise<void> {
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node.js ${process.versions.node}`;
  const columns = ['---', '---:', '---:', '---'];
  await writeTable('README.md', 'npm run scorecard', `${date}, ${machine}:`, columns, rowsOf(figures));
}
