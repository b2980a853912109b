/**
 * `npm run workflows -- [BASE_URL]`: runs the stories of `api/workflows.arazzo.yaml` with Redocly's respect, which also
 * validates every response. `BASE_URL` is a gateway or an Ingress; without it a sandbox is started.
 *
 * Exits with 1 when a step has another result than its story.
 */
import { randomUUID } from 'node:crypto';
import { runToEnd } from '@task-manager/dev/command';
import { startSandbox } from '@task-manager/dev/sandbox';
import { findPort } from '@task-manager/dev/system';
import { run } from '@task-manager/testing/commands';

await runToEnd('npm run workflows', async (stopped) => {
  const [given] = process.argv.slice(2);
  const sandbox = given ? undefined : await startSandbox({ port: await findPort(), print: () => undefined }, stopped);
  const url = (given ?? sandbox?.url ?? '').replace(/\/$/, '');
  const servers = ['--server', `tasks=${url}`, '--server', `users=${url}/user`];
  const args = ['respect', 'api/workflows.arazzo.yaml', ...servers, '--input', `run=${randomUUID()}`];
  const env = { REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
  const running = run('node_modules/.bin/redocly', args, { env, signal: stopped });
  process.exitCode = await running.finally(() => sandbox?.stop());
});
