/** The fault library: what goes wrong with processes, with the network and with PostgreSQL. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultProxy } from './fault-proxy.ts';
import type { Random } from './random.ts';
import type { Replica, SystemUnderTest } from './system-under-test.ts';

/** What a fault acts on, and how. */
export interface Scope {
  system: SystemUnderTest;
  replicas: Replica[];
  random: Random;
  durationMs: number;
  latencyMs: number;
  table: string;
}

interface Fault {
  cause: 'process' | 'network' | 'database';
  /** How long it lasts at random. */
  rangeMs: [min: number, max: number];
  /** Resolves when it has ended. Rejects when what it acts on does not react as it must. */
  inject: (scope: Scope) => Promise<void>;
}

export const faults = {
  'replica killed': { cause: 'process', rangeMs: [0, 400], inject: endReplicas('SIGKILL') },
  'replica terminated': { cause: 'process', rangeMs: [0, 0], inject: endReplicas('SIGTERM') },
  'replica paused': { cause: 'process', rangeMs: [100, 1500], inject: pauseReplicas },
  'connections silent': {
    cause: 'network',
    rangeMs: [300, 2500],
    inject: atProxies((proxy) => {
      proxy.blackhole();
    }),
  },
  'connections refused': {
    cause: 'network',
    rangeMs: [100, 1000],
    inject: atProxies((proxy) => {
      proxy.refuse();
    }),
  },
  'connections reset': { cause: 'network', rangeMs: [10, 800], inject: resetConnections },
  'connections half-closed': { cause: 'network', rangeMs: [10, 300], inject: closeConnections },
  'connections slow': {
    cause: 'network',
    rangeMs: [300, 1500],
    inject: atProxies((proxy, { latencyMs }) => {
      proxy.latencyMs = latencyMs;
    }),
  },
  'responses lost': { cause: 'network', rangeMs: [300, 1500], inject: loseResponses },
  'PostgreSQL stopped': { cause: 'database', rangeMs: [0, 1000], inject: restartPostgres('SIGQUIT') },
  'PostgreSQL killed': { cause: 'database', rangeMs: [0, 1000], inject: restartPostgres('SIGKILL') },
  'PostgreSQL backend killed': { cause: 'database', rangeMs: [0, 0], inject: killBackend },
  'PostgreSQL sessions ended': { cause: 'database', rangeMs: [10, 400], inject: endSessions },
  'table locked': { cause: 'database', rangeMs: [200, 1500], inject: lockTable },
} satisfies Record<string, Fault>;

export type Kind = keyof typeof faults;
export const kinds = Object.keys(faults) as Kind[];

/** Tables of both services that a fault may lock. */
export const tables = [
  ...['task_service.tasks', 'task_service.events', 'task_service.idempotency_keys', 'task_service.assignees'],
  ...['user_service.users', 'user_service.events'],
];

/** How the statements that write, and the end of a transaction, appear on the wire. */
const writes = ['commit', 'insert-', 'update-', 'delete-', 'store-idempotency-key', 'move-users-cursor'];

function endReplicas(signal: 'SIGKILL' | 'SIGTERM'): Fault['inject'] {
  return async ({ replicas, durationMs }) => {
    for (const replica of replicas) {
      const reason = await replica.end(signal);
      if (signal === 'SIGTERM' && reason !== 'code 0') throw new Error(`${replica.name} ended with ${reason}`);
    }
    await sleep(durationMs);
    for (const replica of replicas) await replica.start();
  };
}

async function pauseReplicas({ replicas, durationMs }: Scope): Promise<void> {
  for (const replica of replicas) replica.signal('SIGSTOP');
  await sleep(durationMs);
  for (const replica of replicas) replica.signal('SIGCONT');
}

function atProxies(begin: (proxy: FaultProxy, scope: Scope) => void): Fault['inject'] {
  return async (scope) => {
    for (const { proxy } of scope.replicas) begin(proxy, scope);
    await sleep(scope.durationMs);
    for (const { proxy } of scope.replicas) proxy.heal();
  };
}

async function resetConnections(scope: Scope): Promise<void> {
  await repeat(scope, [10, 200], () => {
    for (const { proxy } of scope.replicas) proxy.reset();
  });
}

async function closeConnections({ replicas, durationMs }: Scope): Promise<void> {
  await Promise.all(replicas.map(({ proxy }) => proxy.closeSlowly(durationMs)));
}

async function loseResponses(scope: Scope): Promise<void> {
  await repeat(scope, [20, 150], () => {
    for (const { proxy } of scope.replicas) proxy.loseAnswerTo(scope.random.pick(writes));
  });
  for (const { proxy } of scope.replicas) proxy.heal();
}

function restartPostgres(signal: 'SIGQUIT' | 'SIGKILL'): Fault['inject'] {
  return async ({ system, durationMs }) => {
    await system.endPostgres(signal);
    await sleep(durationMs);
    await system.startPostgres();
  };
}

async function killBackend({ system, durationMs }: Scope): Promise<void> {
  const isKilled = await system.killBackend();
  await sleep(durationMs);
  if (isKilled) await system.startPostgres();
}

async function endSessions(scope: Scope): Promise<void> {
  const statement = `select pg_terminate_backend(pid) from pg_stat_activity where usename like '%\\_service'`;
  await repeat(scope, [10, 200], async () => {
    await scope.system.query(statement);
  });
}

async function lockTable({ system, table, durationMs }: Scope): Promise<void> {
  const lock = `lock table ${table} in access exclusive mode`;
  await system.query('begin', lock, `select pg_sleep(${durationMs / 1000})`, 'rollback');
}

async function repeat(
  { random, durationMs }: Scope,
  [minMs, maxMs]: [number, number],
  action: () => void | Promise<void>,
): Promise<void> {
  const endsAt = performance.now() + durationMs;
  while (performance.now() < endsAt) {
    await action();
    await sleep(random.integer(minMs, maxMs));
  }
}
