/**
 * Installs packages and builds what is stale before the script that it is preloaded for:
 * `node --import=./scripts/build.mjs packages/dev/dist/start.js`. Quiet unless it takes long or fails; then it ends the
 * process with 1.
 */
import './install.mjs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const notice = setTimeout(() => {
  // Standard output may belong to a protocol.
  console.error('Building …');
}, 800);
const turbo = spawn(
  `${root}node_modules/.bin/turbo`,
  ['run', 'build', '--output-logs=errors-only', '--log-prefix=none'],
  { cwd: root, env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1' }, stdio: ['ignore', 'pipe', 'pipe'] },
);
let output = '';
for (const stream of [turbo.stdout, turbo.stderr]) stream.on('data', (data) => (output += data));
const [code] = await once(turbo, 'close');
clearTimeout(notice);
if (code !== 0) {
  process.stderr.write(output);
  console.error('The build failed: read the lines above.');
  process.exit(1);
}
