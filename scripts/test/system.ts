/** The whole system, as `npm start` runs it, on a port and a data folder of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import getPort from 'get-port';

export interface System {
  port: number;
  /** Of the gateway, without a slash at the end. */
  url: string;
  stop(): Promise<void>;
}

/** Resolves when both services can serve. */
export async function startSystem(): Promise<System> {
  const port = await getPort();
  const data = await mkdtemp(join(tmpdir(), 'task-manager-system-'));
  // Started by root, PostgreSQL runs as another user.
  await chmod(data, 0o755);
  const child = spawn(process.execPath, [fileURLToPath(new URL('../dist/start.js', import.meta.url))], {
    env: { ...process.env, POSTGRES_HOST: undefined, PORT: String(port), DATA_DIR: data, LOG_LEVEL: 'warn' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  const url = `http://localhost:${port}`;
  while (!(await isHealthy(`${url}/health`)) || !(await isHealthy(`${url}/user/health`))) {
    if (child.exitCode !== null) throw new Error(`npm start ended: ${output}`);
    await sleep(100);
  }
  return {
    port,
    url,
    async stop() {
      child.kill();
      await ended;
      await rm(data, { recursive: true, force: true });
    },
  };
}

async function isHealthy(url: string): Promise<boolean> {
  return (await fetch(url).catch(() => undefined))?.ok ?? false;
}
