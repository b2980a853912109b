/**
 * `npm run sandbox`: the real services on a throw-away database that begins with the examples of the contracts, until
 * Ctrl-C. What is created stays until `POST /sandbox/reset` or the end. `PORT` is 4020 by default.
 *
 * Exits with 0 when it was told to stop, and with 1 and one line on standard error when something cannot start.
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

/** Resolves when it can serve. Throws an Error of one line, and leaves nothing behind. */
export async function startSandbox(
  { port, print }: Pick<SystemOptions, 'port' | 'print'>,
  stopped: AbortSignal = new AbortController().signal,
): Promise<Sandbox> {
  // A server of the user's own is not to be thrown away.
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
The sandbox runs: the real services with the contracts' examples, on ${url}

  ${url}/         pages and API reference of the task service
  ${url}/user/    those of the user service
  ${url}/docs     both on one page

  curl ${url}/tasks
  curl ${url}/tasks -H "Content-Type: application/json" -d '{"title":"Buy milk"}'
  curl -X POST ${url}/sandbox/reset       begin again with the examples

Ctrl-C stops it and throws the data away.
`);
}
