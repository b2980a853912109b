/**
 * Builds what is stale before the script that it is preloaded for: `node --import=./scripts/build.mjs scripts/dist/start.js`.
 * Quiet unless it takes long or fails; then it ends the process with 1.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const notice = setTimeout(() => {
  // Standard output may belong to a protocol.
  console.error('Building what has changed …');
}, 800);
const turbo = spawn('npx', ['turbo', 'run', 'build', '--output-logs=errors-only', '--log-prefix=none'], {
  cwd: fileURLToPath(new URL('..', import.meta.url)),
  env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1' },
  stdio: ['ignore', 'pipe', 'pipe'],
});
let output = '';
for (const stream of [turbo.stdout, turbo.stderr]) stream.on('data', (data) => (output += data));
const [code] = await once(turbo, 'close');
clearTimeout(notice);
if (code !== 0) {
  process.stderr.write(output);
  console.error('The build failed: the lines above say where.');
  process.exit(1);
}
