/** Proves which environment variables a service reads, their defaults and their error messages. */
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { readConfig } from '@task-manager/runtime/config';
import { str } from 'envalid';

const required = { POSTGRES_HOST: 'db', POSTGRES_DB: 'tasks', POSTGRES_USER: 'tasker', POSTGRES_PASSWORD: 'secret' };

afterEach(() => {
  jest.restoreAllMocks();
});

/** The lines on standard error and the exit code when this environment is invalid. */
function failureOf(environment: NodeJS.ProcessEnv, more = {}): { lines: string[]; code: unknown } {
  const lines: string[] = [];
  let code: unknown;
  jest.spyOn(console, 'error').mockImplementation((line) => lines.push(String(line)));
  jest.spyOn(process, 'exit').mockImplementation((exitCode): never => {
    code = exitCode;
    throw new Error('the process has ended');
  });
  expect(() => readConfig(environment, more)).toThrow('the process has ended');
  return { lines, code };
}

describe('readConfig', () => {
  it('has a default for every variable except those of the database', () => {
    expect(readConfig(required, {})).toEqual({
      ...required,
      PORT: 3000,
      METRICS_PORT: 9464,
      LISTEN_ADDRESS: '',
      POSTGRES_PORT: 5432,
      POSTGRES_POOL_MAX: 10,
      POSTGRES_SSLMODE: 'disable',
      LOG_LEVEL: 'info',
      VALIDATE_RESPONSES: false,
      FAST_PATH: true,
      SHUTDOWN_DELAY_MS: 0,
      SHUTDOWN_LIMIT_MS: 30_000,
      CORS_ORIGINS: [],
      RATE_LIMIT: 0,
      RATE_LIMIT_WINDOW_S: 60,
      TRUSTED_PROXIES: [],
    });
  });

  it.each([
    ['PORT', '8080', 8080],
    ['LISTEN_ADDRESS', '::1', '::1'],
    ['POSTGRES_HOST', '[::1]', '::1'],
    ['POSTGRES_POOL_MAX', '1', 1],
    ['POSTGRES_POOL_MAX', '1000', 1000],
    ['POSTGRES_SSLMODE', 'verify-full', 'verify-full'],
    ['LOG_LEVEL', 'silent', 'silent'],
    ['VALIDATE_RESPONSES', 'true', true],
    ['FAST_PATH', 'false', false],
    ['SHUTDOWN_DELAY_MS', '5000', 5000],
    ['CORS_ORIGINS', '*', ['*']],
    [
      'CORS_ORIGINS',
      ' http://localhost:5173, https://board.example,',
      ['http://localhost:5173', 'https://board.example'],
    ],
    ['RATE_LIMIT', '0', 0],
    ['RATE_LIMIT', '1000000000', 1e9],
    ['RATE_LIMIT_WINDOW_S', '1', 1],
    ['RATE_LIMIT_WINDOW_S', '3600', 3600],
    ['TRUSTED_PROXIES', 'loopback, 10.0.0.0/8,192.0.2.1', ['loopback', '10.0.0.0/8', '192.0.2.1']],
  ] as const)('reads %s %s', (name, value, expected) => {
    expect(readConfig({ ...required, [name]: value }, {})[name]).toEqual(expected);
  });

  it('needs no password when there is a file with it', () => {
    const POSTGRES_PASSWORD_FILE = import.meta.filename;
    const environment = { ...required, POSTGRES_PASSWORD: undefined, POSTGRES_PASSWORD_FILE };
    expect(readConfig(environment, {})).toMatchObject({ POSTGRES_PASSWORD_FILE });
  });

  it('reads the additional variables of a service', () => {
    const more = { USER_SERVICE_URL: str({ desc: 'where the user service is' }) };
    expect(readConfig({ ...required, USER_SERVICE_URL: 'http://users' }, more).USER_SERVICE_URL).toBe('http://users');
    expect(failureOf(required, more)).toEqual({
      lines: ['USER_SERVICE_URL is missing (where the user service is)'],
      code: 1,
    });
  });

  it.each([
    ['PORT', '99999', 'Invalid port input: "99999" (the port of the service)'],
    ['METRICS_PORT', 'x', 'Invalid port input: "x" (the port of the Prometheus metrics)'],
    ['LISTEN_ADDRESS', 'localhost', '"localhost" is not an IP address (the address that both ports listen on'],
    ['POSTGRES_POOL_MAX', '0', '"0" is not an integer between 1 and 1000 (connections of the pool; the health check'],
    ['POSTGRES_PASSWORD_FILE', '/nowhere', '"/nowhere" cannot be read: ENOENT (a file with the'],
    ['POSTGRES_SSLROOTCERT', '/nowhere', '"/nowhere" cannot be read: ENOENT (a file in PEM with'],
    ['POSTGRES_SSLROOTCERT', import.meta.filename, 'it has no certificate in PEM (a file in PEM with the certificates'],
    [
      'POSTGRES_SSLMODE',
      'prefer',
      '"prefer" is not one of disable, require, verify-full (disable, require (encrypted) or',
    ],
    ['LOG_LEVEL', 'loud', '"loud" is not one of fatal, error, warn, info, debug, trace, silent (the lowest level that'],
    ['VALIDATE_RESPONSES', 'maybe', 'Invalid bool input: "maybe" (whether to validate each response'],
    ['FAST_PATH', 'maybe', 'Invalid bool input: "maybe" (whether simple valid requests'],
    ['SHUTDOWN_DELAY_MS', 'soon', 'Invalid number input: "soon" (how long to keep serving after SIGTERM'],
    ['SHUTDOWN_LIMIT_MS', 'late', 'Invalid number input: "late" (how long requests in progress'],
    [
      'CORS_ORIGINS',
      'https://board.example/',
      '"https://board.example/" is not an origin such as http://localhost:5173 (the',
    ],
    [
      'CORS_ORIGINS',
      '*,board.example',
      '"board.example" is not an origin such as http://localhost:5173 (the origins whose pages',
    ],
    ['RATE_LIMIT', '-1', '"-1" is not an integer between 0 and 1000000000 (requests per'],
    ['RATE_LIMIT', '1000000001', '"1000000001" is not an integer between 0 and 1000000000 (requests'],
    ['RATE_LIMIT', '1.5', '"1.5" is not an integer between 0 and 1000000000 (requests'],
    ['RATE_LIMIT', '1e3', '"1e3" is not an integer between 0 and 1000000000 (requests'],
    ['RATE_LIMIT_WINDOW_S', '0', '"0" is not an integer between 1 and 3600 (the length of a window'],
    ['RATE_LIMIT_WINDOW_S', '3601', '"3601" is not an integer between 1 and 3600 (the length of a window'],
    ['TRUSTED_PROXIES', '10.0.0.0/33', 'invalid range on address: 10.0.0.0/33 (the addresses and networks of proxies'],
  ])('rejects %s %s with the allowed values and the purpose of the variable', (name, value, message) => {
    const { lines, code } = failureOf({ ...required, [name]: value });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`${name} is invalid: ${message}`);
    expect(code).toBe(1);
  });

  it('prints one line for each invalid variable', () => {
    expect(failureOf({ POSTGRES_PORT: '0' }).lines).toEqual([
      'POSTGRES_HOST is missing (the host of PostgreSQL)',
      'POSTGRES_PORT is invalid: Invalid port input: "0" (the port of PostgreSQL)',
      'POSTGRES_DB is missing (the database)',
      'POSTGRES_USER is missing (the role to connect as)',
      "POSTGRES_PASSWORD is missing (the role's password)",
    ]);
  });
});
