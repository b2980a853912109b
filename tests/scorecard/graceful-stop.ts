/** Replicas that are stopped under load through the gateway: how many requests fail. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Load } from '@task-manager/testing/load';
import { formatRequest } from '@task-manager/testing/raw-http';
import type { SystemUnderTest } from '@task-manager/testing/system-under-test';
import { countOf, type Figure } from './figures.ts';

const requests = [
  formatRequest('POST', '/tasks', { 'Content-Type': 'application/json' }, '{"title":"stop"}'),
  ...['/tasks?limit=10', '/user/users?limit=10', '/tasks/feed?wait=1&cursor=latest'].map((path) =>
    formatRequest('GET', path),
  ),
].map((bytes) => ({ bytes, name: bytes.split(' HTTP', 1).join() }));

/** Stops and starts each replica, one after the other. */
export async function measureGracefulStop(system: SystemUnderTest, signal: AbortSignal): Promise<Figure[]> {
  let count = 0;
  const failures: string[] = [];
  const exits: string[] = [];
  const load = new Load({
    ...{ port: Number(new URL(system.url).port), connections: 16 },
    next: () => requests[count++ % requests.length],
    onResponse: ({ name }, { status, head }) => {
      if (!(status >= 200 && status < 300)) failures.push(`${name}: ${status || head}`);
    },
  });
  load.start();
  for (const replica of system.replicas) {
    await sleep(500);
    const reason = await replica.end('SIGTERM');
    if (reason !== 'code 0') exits.push(`${replica.name}: ${reason}`);
    await replica.start();
    await system.recover(signal);
  }
  await sleep(500);
  await load.stop(10_000);
  return [
    countOf(`${count} requests while each replica is stopped: failures`, failures),
    countOf('replicas with another exit code than 0', exits),
  ];
}
