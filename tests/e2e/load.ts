/** An open load: each request comes when its time has come, however long the answers before it take. */
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Where an Ingress answers, and the name by which it knows the system. */
export interface Target {
  address: string;
  port: number;
  host: string;
}

export interface Answer {
  method: string;
  path: string;
  /** Milliseconds since the epoch. */
  startedAt: number;
  endedAt: number;
  /** 0 when there was none. */
  status: number;
  headers: http.IncomingHttpHeaders;
  /** What was answered; when there was no answer, why. */
  text: string;
  /** Of a POST: what only this one has written, a title or an e-mail address. */
  mark?: string;
}

const answerTimeoutMs = 30_000;
const tickMs = 5;

/**
 * Keeps so many requests a second on the system while something is done, from 3 s before it until 3 s after it, a third of
 * them POST and half of them to each service. Gives what each of them met.
 */
export async function loadWhile(target: Target, act: () => Promise<unknown>, ratePerSecond = 200): Promise<Answer[]> {
  const load = new Load(target, ratePerSecond);
  try {
    await sleep(3000);
    await act();
    await sleep(3000);
  } finally {
    await load.stop();
  }
  return load.answers;
}

class Load {
  readonly answers: Answer[] = [];
  readonly #target: Target;
  readonly #run = Date.now().toString(36);
  readonly #agent = new http.Agent({ keepAlive: true });
  readonly #underWay = new Set<Promise<Answer>>();
  readonly #locations = { tasks: '/tasks?limit=5', users: '/user/users?limit=5' };
  readonly #timer: NodeJS.Timeout;
  #sent = 0;

  constructor(target: Target, ratePerSecond: number) {
    this.#target = target;
    const startedAt = Date.now();
    this.#timer = setInterval(() => {
      const due = ((Date.now() - startedAt) / 1000) * ratePerSecond;
      while (this.#sent < due) this.#sendNext();
    }, tickMs);
  }

  /** Sends no more, and waits for the answers that are still to come. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    this.#agent.destroy();
  }

  #sendNext(): void {
    const number = this.#sent++;
    const mark = `${this.#run}-${number}`;
    const email = `${mark}@example.com`;
    const next = [
      () => this.#send('POST', '/tasks', { title: mark, labels: ['load'] }, mark),
      () => this.#send('GET', '/user/users?limit=5'),
      () => this.#send('GET', this.#locations.tasks),
      () => this.#send('POST', '/user/register', { name: 'Load', email }, email),
      () => this.#send('GET', '/tasks?limit=5'),
      () => this.#send('GET', this.#locations.users),
    ][number % 6];
    const answer = next?.() as Promise<Answer>;
    this.#underWay.add(answer);
    void answer.then((given) => {
      this.#underWay.delete(answer);
      this.answers.push(given);
      if (given.status !== 201) return;
      this.#locations[given.path === '/tasks' ? 'tasks' : 'users'] = given.headers.location ?? '';
    });
  }

  async #send(method: string, path: string, body?: object, mark?: string): Promise<Answer> {
    const startedAt = Date.now();
    const answer = await ask(this.#target, { method, path, body, agent: this.#agent }).catch((error: unknown) => ({
      status: 0,
      headers: {},
      text: String(error),
    }));
    return { method, path, startedAt, endedAt: Date.now(), ...answer, ...(mark === undefined ? {} : { mark }) };
  }
}

/** One request to the system. Rejects when there is no answer. */
export async function ask(
  { address, port, host }: Target,
  {
    method = 'GET',
    path,
    body,
    agent,
  }: { method?: string; path: string; body?: object | undefined; agent?: http.Agent },
): Promise<Pick<Answer, 'status' | 'headers' | 'text'>> {
  return new Promise((resolve, reject) => {
    const headers = { Host: host, ...(body && { 'Content-Type': 'application/json' }) };
    const request = http.request({ host: address, port, method, path, headers, agent, timeout: answerTimeoutMs });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${answerTimeoutMs} ms`)));
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
    });
    request.end(body && JSON.stringify(body));
  });
}
