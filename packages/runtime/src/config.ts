/** Configuration from the environment: each variable, its default and its meaning. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  bool,
  cleanEnv,
  EnvMissingError,
  makeValidator,
  num,
  port,
  str,
  type CleanedEnv,
  type ValidatorSpec,
} from 'envalid';
import proxyAddr from 'proxy-addr';

const origins = makeValidator<string[]>((value) => {
  const list = parseList(value);
  for (const each of list) {
    if (each !== '*' && (!URL.canParse(each) || new URL(each).origin !== each)) {
      throw new Error(`"${each}" is not an origin such as http://localhost:5173`);
    }
  }
  return list;
});

/** Addresses (`192.0.2.1`), networks (`10.0.0.0/8`), or proxy-addr's names (`loopback`). */
const networks = makeValidator<string[]>((value) => {
  const list = parseList(value);
  proxyAddr.compile(list);
  return list;
});

const address = makeValidator<string>((value) => {
  if (value && !isIP(value)) throw new Error(`"${value}" is not an IP address`);
  return value;
});

/** An IPv6 address may be in brackets, as in a URL. */
const host = makeValidator<string>((value) => value.replace(/^\[(.*)\]$/, '$1'));

const file = makeValidator<string>((value) => {
  read(value);
  return value;
});

const certificate = makeValidator<string>((value) => {
  const pem = read(value);
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw new Error('it has no certificate in PEM');
  return pem;
});

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`"${path}" cannot be read: ${(error as NodeJS.ErrnoException).code}`, { cause: error });
  }
}

function parseList(value: string): string[] {
  return value.split(',').flatMap((each) => each.trim() || []);
}

export const variables = {
  PORT: port({ default: 3000, desc: 'the port of the service' }),
  METRICS_PORT: port({ default: 9464, desc: 'the port of the Prometheus metrics' }),
  LISTEN_ADDRESS: address({ default: '', desc: 'the address that both ports listen on; all by default' }),
  POSTGRES_HOST: host({ desc: 'the host of PostgreSQL' }),
  POSTGRES_PORT: port({ default: 5432, desc: 'the port of PostgreSQL' }),
  POSTGRES_DB: str({ desc: 'the database' }),
  POSTGRES_USER: str({ desc: 'the role to connect as' }),
  POSTGRES_PASSWORD: str({
    default: undefined,
    requiredWhen: ({ POSTGRES_PASSWORD_FILE }) => POSTGRES_PASSWORD_FILE === undefined,
    desc: "the role's password",
  }),
  POSTGRES_PASSWORD_FILE: file({ default: undefined, desc: 'a file with the password, read for each new connection' }),
  POSTGRES_POOL_MAX: integer(1, 1000)({ default: 10, desc: 'connections of the pool; the health check has one more' }),
  POSTGRES_SSLMODE: oneOf(['disable', 'require', 'verify-full'])({
    default: 'disable',
    desc: 'disable, require (encrypted) or verify-full (encrypted, with a verified certificate)',
  }),
  POSTGRES_SSLROOTCERT: certificate({
    default: undefined,
    desc: 'a file in PEM with the certificates of the authorities that verify-full trusts',
  }),
  LOG_LEVEL: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])({
    default: 'info',
    desc: 'the lowest level that is logged',
  }),
  VALIDATE_RESPONSES: bool({
    default: false,
    desc: 'whether to validate each response against the contract (an invalid one becomes a 500)',
  }),
  FAST_PATH: bool({
    default: true,
    desc: 'whether simple valid requests skip Express and its validator',
  }),
  SHUTDOWN_DELAY_MS: num({
    default: 0,
    desc: 'how long to keep serving after SIGTERM, until the endpoints have removed the pod',
  }),
  SHUTDOWN_LIMIT_MS: num({
    default: 30000,
    desc: 'how long requests in progress may take after that',
  }),
  CORS_ORIGINS: origins({
    default: [],
    desc: 'the origins whose pages may use the service, separated by commas, or *',
  }),
  RATE_LIMIT: integer(0, 1e9)({ default: 0, desc: 'requests per client and window; 0 is unlimited' }),
  RATE_LIMIT_WINDOW_S: integer(1, 3600)({ default: 60, desc: 'the length of a window in seconds' }),
  TRUSTED_PROXIES: networks({
    default: [],
    desc: 'the addresses and networks of proxies whose X-Forwarded-For is trusted, separated by commas',
  }),
};

export type Config = { [Name in keyof typeof variables]: CleanedEnv<typeof variables>[Name] };
export type Variables = Record<string, ValidatorSpec<unknown>>;

/** Reads `environment`. Prints a line for each missing or invalid variable, and ends the process with code 1. */
export function readConfig<More extends Variables>(
  environment: NodeJS.ProcessEnv,
  more: More,
): Config & CleanedEnv<More> {
  const specs: Variables = { ...variables, ...more };
  return cleanEnv(environment, specs, {
    reporter({ errors }) {
      const invalid = Object.entries<Error | undefined>(errors);
      if (invalid.length === 0) return;
      for (const [name, error] of invalid) {
        const problem = error instanceof EnvMissingError ? 'is missing' : `is invalid: ${error?.message ?? ''}`;
        console.error(`${name} ${problem} (${specs[name]?.desc ?? ''})`);
      }
      process.exit(1);
    },
  }) as Config & CleanedEnv<More>;
}

function oneOf<const Choice extends string>(choices: Choice[]) {
  return makeValidator<Choice>((value) => {
    const choice = choices.find((each) => each === value);
    if (!choice) throw new Error(`"${value}" is not one of ${choices.join(', ')}`);
    return choice;
  });
}

function integer(min: number, max: number) {
  return makeValidator<number>((value) => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= min && number <= max) return number;
    throw new Error(`"${value}" is not an integer between ${min} and ${max}`);
  });
}
