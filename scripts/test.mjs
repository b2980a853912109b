/**
 * `npm test`: runs every package's tests (`turbo run test`) and ends with the line `N passed, N failed`. What else is
 * given goes to turbo: `npm test -- --filter=@task-manager/task-service`. Exits with 1 when a test, a build or the type
 * check failed.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';

const counts = new URL('../reports/tests/', import.meta.url);
rmSync(counts, { recursive: true, force: true });
mkdirSync(counts, { recursive: true });

const { status } = spawnSync(
  'npx',
  ['turbo', 'run', ...process.argv.slice(2), '--continue', '--output-logs=new-only', '--log-prefix=none'],
  {
    stdio: 'inherit',
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1' },
    cwd: new URL('..', import.meta.url),
  },
);

let passed = 0;
let failed = 0;
for (const name of readdirSync(counts)) {
  const count = JSON.parse(readFileSync(new URL(name, counts), 'utf8'));
  passed += count.passed;
  failed += count.failed;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = status === 0 && failed === 0 ? 0 : 1;
