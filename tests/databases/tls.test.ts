/** A service that connects with TLS, over IPv6, and with a password from a file that changes. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Config } from '@task-manager/runtime/config';
import { newEnvironment } from '@task-manager/testing/harness';
import { TestPostgres } from '@task-manager/testing/postgres';
import { spawnService, untilStatus, type ServiceProcess } from '@task-manager/testing/processes';
import { send } from '@task-manager/testing/subject';

let folder: string;
let postgres: TestPostgres;
let environment: Config;
let service: ServiceProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'task-manager-tls-'));
  chmodSync(folder, 0o755);
  makeAuthority('ca');
  makeAuthority('other');
  makeCertificate('server', 'ca');
  // PostgreSQL runs as nobody when root starts it, and wants to own its key.
  if (process.getuid?.() === 0) execFileSync('chown', ['nobody', path('server.key')]);
  const settings = [
    `ssl = on`,
    `ssl_cert_file = '${path('server.crt')}'`,
    `ssl_key_file = '${path('server.key')}'`,
    `listen_addresses = '127.0.0.1,::1'`,
  ];
  postgres = await TestPostgres.start({ settings });
  environment = await newEnvironment('user-service', postgres.port);
});
afterEach(async () => {
  service.child.kill('SIGKILL');
  await service.exited;
});
afterAll(async () => {
  await postgres.remove();
  rmSync(folder, { recursive: true });
});

const path = (name: string) => join(folder, name);

function openssl(...options: string[]): void {
  execFileSync('openssl', options, { stdio: 'pipe' });
}

function makeAuthority(name: string): void {
  const [key, certificate] = [path(`${name}.key`), path(`${name}.crt`)];
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`, '-keyout', key, '-out', certificate);
}

/** For 127.0.0.1 only. */
function makeCertificate(name: string, authority: string): void {
  const [key, request, names] = [path(`${name}.key`), path(`${name}.csr`), path(`${name}.ext`)];
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`, '-keyout', key, '-out', request);
  writeFileSync(names, 'subjectAltName = IP:127.0.0.1');
  const signer = ['-CA', path(`${authority}.crt`), '-CAkey', path(`${authority}.key`), '-CAcreateserial'];
  openssl('x509', '-req', '-in', request, ...signer, '-extfile', names, '-out', path(`${name}.crt`));
  chmodSync(key, 0o600);
}

async function start(overrides: Record<string, string | number | undefined>): Promise<void> {
  service = await spawnService('user-service', environment, overrides);
}

async function untilReady(): Promise<void> {
  await untilStatus(200, `${service.url}/health`);
}

async function connection(column: string): Promise<unknown> {
  const [row] = await postgres.query(
    `select ${column} as value from pg_stat_activity left join pg_stat_ssl using (pid) where application_name = 'health'`,
  );
  return row?.value;
}

describe('POSTGRES_SSLMODE=verify-full', () => {
  it('connects when POSTGRES_SSLROOTCERT has signed the certificate of the server', async () => {
    await start({ POSTGRES_SSLMODE: 'verify-full', POSTGRES_SSLROOTCERT: path('ca.crt') });
    await untilReady();
    expect(await connection('ssl')).toBe(true);
    expect((await send(`${service.url}/users`, 'GET')).status).toBe(200);
  });

  it.each([
    ['no authority is given', undefined, '127.0.0.1', 'unable to verify the first certificate'],
    ['another authority is given', 'other.crt', '127.0.0.1', 'unable to verify the first certificate'],
    ['the certificate is for another host', 'ca.crt', 'localhost', 'does not match certificate'],
  ])('says in one line that the certificate is not trusted when %s', async (_when, ca, host, cause) => {
    const POSTGRES_SSLROOTCERT = ca && path(ca);
    await start({ POSTGRES_SSLMODE: 'verify-full', POSTGRES_SSLROOTCERT, POSTGRES_HOST: host });
    await untilStatus(503, `${service.url}/health`);
    // The service tries again every 250 ms.
    await sleep(1500);
    expect((await send(`${service.url}/health`, 'GET')).body).toMatchObject({
      detail: 'The certificate of the database cannot be verified. The log has the cause.',
    });
    const lines = service.output().trim().split('\n');
    const others = lines.filter((line) => !/"msg":"(request|listening)"/.test(line));
    expect(others).toEqual([expect.stringContaining(cause)]);
  });
});

it('connects over IPv6 when POSTGRES_HOST is an address in brackets', async () => {
  await start({ POSTGRES_HOST: '[::1]' });
  await untilReady();
  expect(await connection('client_addr')).toBe('::1');
});

it('connects with the new password after a rotation when POSTGRES_PASSWORD_FILE has it', async () => {
  const file = path('password');
  writeFileSync(file, 'user_service\n');
  await start({ POSTGRES_PASSWORD: undefined, POSTGRES_PASSWORD_FILE: file });
  await untilReady();
  await postgres.query(`alter role user_service password 'rotated'`);
  await postgres.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'user_service'`);
  await untilStatus(503, `${service.url}/health`);
  writeFileSync(file, 'rotated\n');
  await untilReady();
  expect((await send(`${service.url}/users`, 'GET')).status).toBe(200);
  await postgres.query(`alter role user_service password 'user_service'`);
});
