/** Starts the whole system, the sandbox or the mock as a process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findPort } from '@task-manager/dev/system';

export interface System {
  port: number;
  /** Of the gateway, without a trailing slash. */
  url: string;
  stop(): Promise<void>;
}

/** `npm start` on an empty database. Resolves when both services are ready. */
export async function startSystem(): Promise<System> {
  const data = await mkdtemp(join(tmpdir(), 'task-manager-system-'));
  // As root, PostgreSQL starts as another user, and that user reads the folder.
  await chmod(data, 0o755);
  const system = await run('start', { POSTGRES_HOST: undefined, DATA_DIR: data });
  return {
    ...system,
    async stop() {
      await system.stop();
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** `npm run sandbox`: the system with the examples of the contracts as data. */
export const startSandbox = () => run('sandbox');

/** `npm run mock`. */
export const startMock = () => run('mock');

async function run(script: string, environment: NodeJS.ProcessEnv = {}): Promise<System> {
  const port = await findPort();
  const child = spawn(process.execPath, [fileURLToPath(new URL(`../../dev/dist/${script}.js`, import.meta.url))], {
    env: { ...process.env, PORT: String(port), LOG_LEVEL: 'warn', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  // The last line that the command prints on start.
  while (!output.includes('Ctrl-C stops')) {
    if (child.exitCode !== null) throw new Error(`${script} ended: ${output}`);
    await sleep(50);
  }
  return {
    port,
    url: `http://localhost:${port}`,
    async stop() {
      child.kill();
      await ended;
      if (child.exitCode !== 0) throw new Error(`${script} ended with ${child.exitCode}: ${output}`);
    },
  };
}
