/** A service on a PostgreSQL of an unsupported version, or on a database with another encoding or locale. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Config } from '@task-manager/runtime/config';
import { dropDatabase, newEnvironment } from '@task-manager/testing/harness';
import { isInstalled, TestPostgres } from '@task-manager/testing/postgres';
import { spawnService, untilStatus, type ServiceProcess } from '@task-manager/testing/processes';
import { json, send } from '@task-manager/testing/subject';

let service: ServiceProcess;
afterEach(async () => {
  service.child.kill('SIGKILL');
  await service.exited;
});

/** The reason at `/health`, after several attempts, and the lines of the log that are not about requests. */
async function startUnready(environment: Config): Promise<{ reason: unknown; lines: string[] }> {
  service = await spawnService('user-service', environment);
  await untilStatus(503, `${service.url}/health`);
  // The service tries again every 250 ms.
  await sleep(2000);
  const { body } = await send(`${service.url}/health`, 'GET');
  const lines = service.output().trim().split('\n');
  return { reason: body.detail, lines: lines.filter((line) => !line.includes('"msg":"request"')) };
}

describe('version', () => {
  // `.ci/run` installs it.
  const test = isInstalled('12') ? it : it.skip;
  test('says in one line that PostgreSQL 12 is too old', async () => {
    const postgres = await TestPostgres.start({ version: '12' });
    try {
      const { reason, lines } = await startUnready(await newEnvironment('user-service', postgres.port));
      expect(reason).toMatch(/^PostgreSQL 12\.\d+ is too old: version 13 or later is needed\.$/);
      expect(lines).toEqual([expect.stringContaining('listening'), expect.stringContaining(String(reason))]);
    } finally {
      await postgres.remove();
    }
  });
});

describe('encoding', () => {
  it.each(['LATIN1', 'SQL_ASCII'])('says in one line that UTF8 is needed when it is %s', async (encoding) => {
    const environment = await newEnvironment(
      'user-service',
      undefined,
      `template template0 encoding '${encoding}' locale 'C' locale_provider libc`,
    );
    const { reason, lines } = await startUnready(environment);
    expect(reason).toBe(`The database ${environment.POSTGRES_DB} has the encoding ${encoding}: UTF8 is needed.`);
    expect(lines).toEqual([expect.stringContaining('listening'), expect.stringContaining(String(reason))]);
    await dropDatabase(environment);
  });
});

describe('locale', () => {
  it('ignores the case of email addresses when it is Turkish', async () => {
    const environment = await newEnvironment(
      'user-service',
      undefined,
      `template template0 encoding 'UTF8' locale_provider icu icu_locale 'tr' locale 'C'`,
    );
    service = await spawnService('user-service', environment);
    await untilStatus(200, `${service.url}/health`);
    const register = (email: string) =>
      send(`${service.url}/register`, 'POST', json, JSON.stringify({ name: 'Info', email }));
    const { status, body } = await register('INFO@example.com');
    expect(status).toBe(201);
    expect((await register('info@example.com')).status).toBe(409);
    const list = await send(`${service.url}/users?email=iNFo@example.com`, 'GET');
    expect(list.body).toEqual({ items: [body], nextCursor: null });
    const { body: other } = await register('other@example.com');
    const patch = await send(
      `${service.url}/users/${String(other.id)}`,
      'PATCH',
      json,
      JSON.stringify({ email: 'info@example.com' }),
    );
    expect(patch.status).toBe(409);
    await dropDatabase(environment);
  });
});
