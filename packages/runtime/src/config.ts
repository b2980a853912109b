/** The environment of a service: each variable that it reads, its default and its meaning. */
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
  const given = listOf(value);
  for (const each of given) {
    if (each !== '*' && (!URL.canParse(each) || new URL(each).origin !== each)) {
      throw new Error(`"${each}" is no origin such as http://localhost:5173`);
    }
  }
  return given;
});

/** Addresses (`192.0.2.1`), networks (`10.0.0.0/8`), or the names that proxy-addr has for some (`loopback`). */
const networks = makeValidator<string[]>((value) => {
  const given = listOf(value);
  proxyAddr.compile(given);
  return given;
});

function listOf(value: string): string[] {
  return value.split(',').flatMap((each) => each.trim() || []);
}

export const variables = {
  PORT: port({ default: 3000, desc: 'where the service listens' }),
  METRICS_PORT: port({ default: 9464, desc: 'where Prometheus reads the metrics' }),
  POSTGRES_HOST: str({ desc: 'the host of PostgreSQL' }),
  POSTGRES_PORT: port({ default: 5432, desc: 'the port of PostgreSQL' }),
  POSTGRES_DB: str({ desc: 'the database' }),
  POSTGRES_USER: str({ desc: 'the role to connect as' }),
  POSTGRES_PASSWORD: str({ desc: "the role's password" }),
  POSTGRES_SSLMODE: oneOf(['disable', 'require', 'verify-full'])({
    default: 'disable',
    desc: 'disable, require (encrypted) or verify-full (encrypted, and the certificate is checked)',
  }),
  LOG_LEVEL: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])({
    default: 'info',
    desc: 'the least level that is logged',
  }),
  VALIDATE_RESPONSES: bool({
    default: false,
    desc: 'whether to hold every answer to the contract (a wrong one is a 500)',
  }),
  FAST_LANE: bool({
    default: true,
    desc: 'whether plainly valid requests are answered without Express and its validator, and faster',
  }),
  SHUTDOWN_DELAY_MS: num({
    default: 0,
    desc: 'how long to serve on after SIGTERM, until the endpoints forget the pod',
  }),
  SHUTDOWN_LIMIT_MS: num({
    default: 30000,
    desc: 'how long the requests that have begun may take after that',
  }),
  CORS_ORIGINS: origins({
    default: [],
    desc: 'the origins whose pages may use the service, with commas between them, or *',
  }),
  RATE_LIMIT: whole(0, 1e9)({ default: 0, desc: 'how many requests a client may send in a window; 0 is any number' }),
  RATE_LIMIT_WINDOW_S: whole(1, 3600)({ default: 60, desc: 'how long a window is, in seconds' }),
  TRUSTED_PROXIES: networks({
    default: [],
    desc: 'the addresses and networks of the proxies whose X-Forwarded-For is believed, with commas between them',
  }),
};

export type Environment = { [Name in keyof typeof variables]: CleanedEnv<typeof variables>[Name] };

/**
 * Reads `environment` (that of the process), with defaults: what every service reads, and what this one reads `more`.
 * When a variable is missing or wrong it says which, one line each, and ends the process with code 1.
 */
export function readEnvironment<More extends Record<string, ValidatorSpec<unknown>>>(
  environment: NodeJS.ProcessEnv,
  more: More,
): Environment & CleanedEnv<More> {
  const specifications: Record<string, ValidatorSpec<unknown>> = { ...variables, ...more };
  return cleanEnv(environment, specifications, {
    reporter({ errors }) {
      const wrong = Object.entries<Error | undefined>(errors);
      if (wrong.length === 0) return;
      for (const [name, error] of wrong) {
        const problem = error instanceof EnvMissingError ? 'is missing' : `is wrong: ${error?.message ?? ''}`;
        console.error(`${name} ${problem} (${specifications[name]?.desc ?? ''})`);
      }
      process.exit(1);
    },
  }) as Environment & CleanedEnv<More>;
}

/** Unlike envalid's `choices`, it says what may stand there. */
function oneOf<const Choice extends string>(choices: Choice[]) {
  return makeValidator<Choice>((value) => {
    const choice = choices.find((each) => each === value);
    if (!choice) throw new Error(`"${value}" is not one of ${choices.join(', ')}`);
    return choice;
  });
}

function whole(min: number, max: number) {
  return makeValidator<number>((value) => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= min && number <= max) return number;
    throw new Error(`"${value}" is no whole number from ${min} to ${max}`);
  });
}
