/**
 * `npm run sandbox`: runs the services on a temporary database that starts with the examples of the contracts, until
 * Ctrl-C. `POST /sandbox/reset` restores the examples. `PORT` is 4020 by default.
 *
 * Exits with 0 after a signal, and with 1 and one line on standard error when something cannot start.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Database } from './database.ts';
import { readPort } from './gateway.ts';
import { printLine } from './log.ts';
import { seed } from './seed.ts';
import { System, type SystemOptions } from './system.ts';
import { runUntilStopped } from './command.ts';

export interface Sandbox {
  /** Of the gateway, without a slash at the end. */
  url: string;
  stop(): Promise<void>;
  kill(): void;
}

/** Resolves when the services are ready. Throws an Error of one line, after cleaning up. */
export async function startSandbox(
  { port, print }: Pick<SystemOptions, 'port' | 'print'>,
  stopped: AbortSignal = new AbortController().signal,
): Promise<Sandbox> {
  // Never truncate the tables of the user's own server.
  delete process.env.POSTGRES_HOST;
  const dataDir = await mkdtemp(join(tmpdir(), 'task-manager-sandbox-'));
  // Started by root, PostgreSQL runs as another user.
  await chmod(dataDir, 0o755);
  let database: Database | undefined;
  const reset = async () => {
    if (database) await seed(database);
  };
  const system = new System({
    ...{ port, dataDir, print, replicasPerService: 1 },
    commands: { 'POST /sandbox/reset': reset },
  });
  async function stop(): Promise<void> {
    await system.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
  try {
    const running = await system.start(stopped);
    database = running.database;
    await reset();
    return {
      url: running.url,
      stop,
      kill() {
        system.kill();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  let sandbox: Sandbox | undefined;
  await runUntilStopped({
    name: 'npm run sandbox',
    async start(stopped) {
      sandbox = await startSandbox({ port: readPort(4020), print: printLine }, stopped);
      printHelp(sandbox.url);
    },
    stop: async () => sandbox?.stop(),
    kill: () => sandbox?.kill(),
  });
}

function printHelp(url: string): void {
  console.log(`
The sandbox is running at ${url}: the services, with the examples of the contracts.

  ${url}/         task service: pages and API reference
  ${url}/user/    user service: pages and API reference
  ${url}/docs     API reference of both

  curl ${url}/tasks
  curl ${url}/tasks -H "Content-Type: application/json" -d '{"title":"Buy milk"}'
  curl -X POST ${url}/sandbox/reset       restore the examples

Ctrl-C stops it and deletes the data.
`);
}
