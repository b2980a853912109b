/** Starts built services as processes, as an orchestrator does. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Config } from '@task-manager/runtime/config';
import { until } from './until.ts';

export interface ServiceProcess {
  child: ChildProcess;
  url: string;
  metricsUrl: string;
  exited: Promise<number | null>;
  /** Standard output and standard error so far. */
  output(): string;
}

/** Starts a service with this environment, on free ports unless `overrides` sets them. */
export async function spawnService(
  name: string,
  environment: Config,
  overrides: Record<string, string | number | undefined> = {},
): Promise<ServiceProcess> {
  const ports = { PORT: await freePort(), METRICS_PORT: await freePort() };
  const given = { ...environment, LOG_LEVEL: 'info', ...ports, ...overrides };
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL(`../../../services/${name}/dist/main.js`, import.meta.url))],
    {
      env: Object.fromEntries(
        Object.entries(given).flatMap(([variable, value]) => (value === undefined ? [] : [[variable, String(value)]])),
      ),
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
  return {
    child,
    url: `http://127.0.0.1:${given.PORT}`,
    metricsUrl: `http://127.0.0.1:${given.METRICS_PORT}`,
    exited: once(child, 'close').then(([code]) => code as number | null),
    output: () => output,
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Sends GET requests until a response has the status; throws after the timeout. */
export async function untilStatus(status: number, url: string, timeoutMs = 25_000): Promise<Response> {
  let response: Response | undefined;
  const hasStatus = async () => (response = await fetch(url).catch(() => undefined))?.status === status;
  await until(hasStatus, { what: `${status} from ${url}`, timeoutMs });
  return response as Response;
}
