/** The task service as a process whose user service is unreachable or hangs. */
import { createServer } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Config } from '@task-manager/runtime/config';
import { listen, newEnvironment } from '@task-manager/testing/harness';
import { freePort, spawnService, untilStatus, type ServiceProcess } from '@task-manager/testing/processes';
import { unknownId } from '@task-manager/testing/subject';

let environment: Config;
let service: ServiceProcess;

beforeAll(async () => {
  environment = await newEnvironment('task-service');
});
beforeEach(async () => {
  service = await run(`http://127.0.0.1:${await freePort()}`);
  await untilStatus(200, `${service.url}/health`);
});
afterEach(() => kill(service));
afterAll(async () => {
  await Promise.all(started.map(kill));
});

/** Every process, so that afterAll also kills the processes of a failed test. */
const started: ServiceProcess[] = [];
async function run(userServiceUrl: string): Promise<ServiceProcess> {
  const process = await spawnService('task-service', environment, { USER_SERVICE_URL: userServiceUrl });
  started.push(process);
  return process;
}

async function kill({ child, exited }: ServiceProcess): Promise<void> {
  child.kill('SIGKILL');
  await exited;
}

describe('user service unavailable', () => {
  const headers = { 'Content-Type': 'application/json' };
  const post = (body: object) => fetch(`${service.url}/tasks`, { method: 'POST', headers, body: JSON.stringify(body) });

  it('returns 503 with Retry-After to assignments and serves the rest when the user service is unreachable', async () => {
    const rejected = await post({ title: 'Buy milk', assigneeId: unknownId });
    expect([rejected.status, rejected.headers.get('Retry-After')]).toEqual([503, '1']);
    expect(await rejected.json()).toMatchObject({ detail: 'The user service cannot be reached.' });
    const created = await post({ title: 'Buy milk' });
    expect(created.status).toBe(201);
    const { id } = (await created.json()) as { id: string };
    const url = `${service.url}/tasks/${id}`;
    const finish = { method: 'PATCH', headers, body: '{"status":"done","assigneeId":null}' };
    expect((await fetch(url, finish)).status).toBe(200);
    expect((await fetch(url, { ...finish, body: `{"assigneeId":"${unknownId}"}` })).status).toBe(503);
    expect((await fetch(`${service.url}/tasks?assigneeId=${unknownId}`)).status).toBe(200);
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(204);
  });

  it('returns 503 with the status of the user service when that is an error', async () => {
    const failing = createServer((_req, res) => res.writeHead(503).end());
    const caller = await run(await listen(failing));
    await untilStatus(200, `${caller.url}/health`);
    const body = JSON.stringify({ title: 'Buy milk', assigneeId: unknownId });
    const rejected = await fetch(`${caller.url}/tasks`, { method: 'POST', headers, body });
    expect(await rejected.json()).toMatchObject({ status: 503, detail: 'The user service responded with 503.' });
    await kill(caller);
    failing.closeAllConnections();
    failing.close();
  });

  it('returns 503 to assignments and serves other requests meanwhile when the user service hangs', async () => {
    const hanging = createServer(() => undefined);
    const waiting = await run(await listen(hanging));
    await untilStatus(200, `${waiting.url}/health`);
    const bodies = Array.from({ length: 30 }, () => JSON.stringify({ title: 'Buy milk', assigneeId: unknownId }));
    const assigning = bodies.map((body) => fetch(`${waiting.url}/tasks`, { method: 'POST', headers, body }));
    const other = await fetch(`${waiting.url}/tasks`, { method: 'POST', headers, body: '{"title":"Buy milk"}' });
    expect(other.status).toBe(201);
    for (const response of await Promise.all(assigning)) {
      expect([response.status, response.headers.get('Retry-After')]).toEqual([503, '1']);
    }
    await kill(waiting);
    hanging.closeAllConnections();
    hanging.close();
  });
});
