/** Starts a real PgBouncer: the Debian package, or another `pgbouncer` in the PATH. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { services } from '@task-manager/dev/repository';
import { freePort } from '@task-manager/testing/processes';
import { until } from '@task-manager/testing/until';
import pg from 'pg';

export interface PgBouncer {
  port: number;
  /** Runs a command of its console: `RECONNECT`, or `SET` with a parameter. */
  command(text: string): Promise<void>;
  /** Its log so far. */
  output(): string;
  stop(): Promise<void>;
}

const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin` };

/** Undefined when it is not installed. */
export const version = /PgBouncer (\d+\.\d+)/.exec(
  spawnSync('pgbouncer', ['--version'], { env, encoding: 'utf8' }).stdout,
)?.[1];

const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
/** Since 1.21, in transaction mode. */
export const preparesStatements = major > 1 || minor >= 21;

export async function startPgBouncer(postgresPort: number, parameters: Record<string, string>): Promise<PgBouncer> {
  const folder = await mkdtemp(join(tmpdir(), 'task-manager-pgbouncer-'));
  const port = await freePort();
  const all = {
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: join(folder, 'users'),
    admin_users: 'admin',
    max_client_conn: '200',
    // It refuses to run as root.
    ...(process.getuid?.() === 0 && { user: 'nobody' }),
    ...parameters,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
  const databases = `* = host=127.0.0.1 port=${postgresPort}`;
  const roles = [...services.map((name) => name.replaceAll('-', '_')), 'admin'];
  await writeFile(join(folder, 'ini'), ['[databases]', databases, '[pgbouncer]', ...lines, ''].join('\n'));
  await writeFile(all.auth_file, roles.map((role) => `"${role}" "${role}"\n`).join(''));
  await chmod(folder, 0o755);
  const child = spawn('pgbouncer', [join(folder, 'ini')], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(child, 'exit');
  let output = '';
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  await until(() => child.exitCode !== null || output.includes('process up'), { what: 'PgBouncer' });
  if (child.exitCode !== null) throw new Error(`PgBouncer ended: ${output}`);
  return {
    port,
    async command(text) {
      const client = new pg.Client({
        host: '127.0.0.1',
        port,
        user: 'admin',
        password: 'admin',
        database: 'pgbouncer',
      });
      await client.connect();
      await client.query(text).finally(() => client.end());
    },
    output: () => output,
    async stop() {
      child.kill('SIGKILL');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
