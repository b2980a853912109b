/**
 * `npm test`: runs every package's tests (`turbo run test`) and ends with the line `N passed, N failed`. What is given
 * on the command line goes to turbo: `npm test -- --filter=@task-manager/task-service`. Exits with 1 when a test, a
 * build or the type check failed.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';

const counts = new URL('../reports/tests/', import.meta.url);
rmSync(counts, { recursive: true, force: true });

const { status } = spawnSync(
  'npx',
  ['turbo', 'run', 'test', '--continue', '--output-logs=new-only', ...process.argv.slice(2)],
  {
    stdio: 'inherit',
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1' },
    cwd: new URL('..', import.meta.url),
  },
);

let passed = 0;
let failed = 0;
for (const file of readdirSync(counts, { withFileTypes: true, recursive: false })) {
  const count = JSON.parse(readFileSync(new URL(file.name, counts), 'utf8'));
  passed += count.passed;
  failed += count.failed;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = status === 0 && failed === 0 ? 0 : 1;
