/** A mixed load on the system, through its Ingress. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Load, type Request } from '@task-manager/testing/load';
import { formatRequest } from '@task-manager/testing/raw-http';

/** A request and its response. Times are in milliseconds since the epoch. */
export interface Exchange {
  method: string;
  path: string;
  startedAt: number;
  endedAt: number;
  /** 0 without a response. */
  status: number;
  head: string;
  body: string;
  /** Of a POST: its title or e-mail address, which no other request has. */
  mark: string | undefined;
}

type MarkedRequest = Request & Pick<Exchange, 'method' | 'path' | 'mark'>;

/** Sends an open load from 3 s before the act until 3 s after it: a third of it POST, half of it to each service. */
export async function loadWhile(url: string, act: () => Promise<unknown>, rate = 200): Promise<Exchange[]> {
  const exchanges: Exchange[] = [];
  const run = Date.now().toString(36);
  const locations = { tasks: '/tasks?limit=5', users: '/user/users?limit=5' };
  let number = 0;
  const next = (): MarkedRequest => {
    const mark = `${run}-${++number}`;
    const email = `${mark}@example.com`;
    const kinds = [
      () => marked('POST', '/tasks', mark, { title: mark, labels: ['load'] }),
      () => marked('GET', '/user/users?limit=5'),
      () => marked('GET', locations.tasks),
      () => marked('POST', '/user/register', email, { name: 'Load', email }),
      () => marked('GET', '/tasks?limit=5'),
      () => marked('GET', locations.users),
    ] as const;
    return (kinds[number % kinds.length] ?? kinds[0])();
  };
  const load = new Load<MarkedRequest>({
    ...{ port: Number(new URL(url).port), rate, connections: 5000, next },
    onResponse: ({ method, path, mark }, { status, head, body, startedAt, endedAt }) => {
      const times = { startedAt: performance.timeOrigin + startedAt, endedAt: performance.timeOrigin + endedAt };
      exchanges.push({ method, path, mark, status, head, body: body.toString('utf8'), ...times });
      const [, location] = /\r\nlocation: ([^\r]*)/i.exec(head) ?? [];
      if (status === 201 && location) locations[path === '/tasks' ? 'tasks' : 'users'] = location;
    },
  });
  load.start();
  try {
    await sleep(3000);
    await act();
    await sleep(3000);
  } finally {
    await load.stop(30_000);
  }
  return exchanges;
}

function marked(method: string, path: string, mark?: string, body?: object): MarkedRequest {
  const headers = body ? { 'Content-Type': 'application/json' } : {};
  return { method, path, mark, bytes: formatRequest(method, path, headers, body && JSON.stringify(body)) };
}
