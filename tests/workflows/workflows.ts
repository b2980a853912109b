/**
 * `npm run workflows -- [BASE_URL]`: plays the stories of `api/workflows.arazzo.yaml` by Redocly's respect, which holds
 * every answer to the contracts too. `BASE_URL` is a gateway or an Ingress; without it a sandbox is started.
 *
 * Exits with 1 when a step went otherwise than the stories tell.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { startSandbox } from '@task-manager/dev/sandbox';
import { root } from '@task-manager/dev/repository';
import { findPort } from '@task-manager/dev/system';
import { runToEnd } from '@task-manager/dev/command';

await runToEnd('npm run workflows', async (stopped) => {
  const [given] = process.argv.slice(2);
  const sandbox = given ? undefined : await startSandbox({ port: await findPort(), print: () => undefined }, stopped);
  const url = (given ?? sandbox?.url ?? '').replace(/\/$/, '');
  process.exitCode = await play(url, stopped).finally(() => sandbox?.stop());
});

/** Resolves with the exit code of respect. */
async function play(url: string, signal: AbortSignal): Promise<number> {
  const places = ['--server', `tasks=${url}`, '--server', `users=${url}/user`];
  const respect = spawn(
    join(root, 'node_modules/.bin/redocly'),
    ['respect', 'api/workflows.arazzo.yaml', ...places, '--input', `run=${randomUUID()}`],
    {
      cwd: root,
      env: { ...process.env, REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
      stdio: ['ignore', 'inherit', 'inherit'],
      signal,
    },
  );
  const [code] = (await once(respect, 'close')) as [number | null];
  return code ?? 1;
}
