/**
 * `npm test`: runs every package's tests (`turbo run test`) and ends with the line `N passed, N failed`. Further arguments
 * go to turbo: `npm test -- --filter=@task-manager/task-service`. Exits with 1 when a test, a build or the type check
 * failed.
 */
import './install.mjs';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const counts = `${root}reports/tests/`;
rmSync(counts, { recursive: true, force: true });
mkdirSync(counts, { recursive: true });

const { status } = spawnSync(
  `${root}node_modules/.bin/turbo`,
  ['run', ...process.argv.slice(2), '--continue', '--output-logs=new-only', '--log-prefix=none'],
  { cwd: root, env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1' }, stdio: 'inherit' },
);

let passed = 0;
let failed = 0;
for (const name of readdirSync(counts)) {
  const count = JSON.parse(readFileSync(counts + name, 'utf8'));
  passed += count.passed;
  failed += count.failed;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = status === 0 && failed === 0 ? 0 : 1;
