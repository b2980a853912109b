/** A stub of the user service that knows only these users. */
import { createServer } from 'node:http';
import { listen } from '@task-manager/testing/harness';

export const alice = '01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10';
export const bob = '01939c2d-c4e8-7216-93af-5e4d3c2b1a09';

export async function serveUsers(): Promise<{ url: string; stop: () => void }> {
  const server = createServer((req, res) => {
    const id = req.url?.split('/').at(-1) ?? '';
    const isKnown = id === alice || id === bob;
    res.writeHead(isKnown ? 200 : 404, { 'Content-Type': 'application/json' }).end(JSON.stringify({ id }));
  });
  const url = await listen(server);
  return {
    url,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
