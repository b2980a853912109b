/**
 * Lower bounds for any service on node:http. `POST /tasks` echoes the request, `/page`
 * is always the same page of `PAGE_BYTES` bytes, `/health` the same few bytes.
 */
import { createServer, type ServerResponse } from 'node:http';

const page = Buffer.from(JSON.stringify({ items: 'x'.repeat(Number(process.env.PAGE_BYTES) - 12) }));
const health = Buffer.from(JSON.stringify({ status: 'ok' }));

createServer((req, res) => {
  if (req.url === '/page') answer(res, 200, page);
  else if (req.url === '/health') answer(res, 200, health);
  else {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      answer(res, 201, Buffer.from(JSON.stringify(JSON.parse(Buffer.concat(chunks).toString()))));
    });
  }
}).listen(Number(process.env.PORT), '127.0.0.1');

function answer(res: ServerResponse, status: number, body: Buffer): void {
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': body.length }).end(body);
}
