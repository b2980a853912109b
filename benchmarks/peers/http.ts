/** The peer without a framework: node:http and pg. It validates nothing, so it is faster than a service may be. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { findTask, insertTask, listTasks, notFound, updateTask, type NewTask } from './tasks.ts';

createServer((req, res) => {
  answer(req, res).catch((error: unknown) => {
    console.error(error);
    send(res, 500, { title: 'Internal error' });
  });
}).listen(Number(process.env.PORT), '127.0.0.1');

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(req.url ?? '/', 'http://localhost');
  if (pathname === '/tasks') {
    if (req.method === 'GET') {
      send(res, 200, await listTasks(Number(searchParams.get('limit') ?? 50)));
    } else {
      const task = await insertTask((await readJson(req)) as NewTask);
      send(res, 201, task, { Location: `/tasks/${task.id}` });
    }
    return;
  }
  const id = pathname.slice('/tasks/'.length);
  const task =
    req.method === 'GET' ? await findTask(id) : await updateTask(id, (await readJson(req)) as Partial<NewTask>);
  if (task) send(res, 200, task);
  else send(res, 404, notFound(id), { 'Content-Type': 'application/problem+json' });
}

async function readJson(req: IncomingMessage): Promise<unknown> {
  const text = await new Promise<string>((resolve, reject) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      resolve(Buffer.concat(chunks).toString());
    });
    req.on('error', reject);
  });
  return JSON.parse(text);
}

function send(res: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  const text = JSON.stringify(body);
  res
    .writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text), ...headers })
    .end(text);
}
