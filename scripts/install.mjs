/**
 * Runs `npm ci` when node_modules is missing, incomplete or older than package-lock.json. Preloaded, directly or by
 * build.mjs, for each npm script that needs packages; so it imports only Node's own modules.
 *
 * Writes to standard error only. When `npm ci` fails it ends the process with 1.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const lockfile = `${root}package-lock.json`;
/** npm writes it last, so an interrupted install has none. */
const installedLockfile = `${root}node_modules/.package-lock.json`;
const stamp = `${root}node_modules/.package-lock.sha256`;
/** The ids of the processes that install. Not in node_modules, which `npm ci` empties. */
const mutex = `${root}.tools/npm-ci.pid`;

if (findReason()) {
  await lock();
  // Another command may have installed in the meantime.
  const reason = findReason();
  if (reason) await install(reason);
  rmSync(mutex, { force: true });
}

/** Why an install is needed; undefined when node_modules matches the lockfile. */
function findReason() {
  const installed = read(installedLockfile);
  if (!installed) return 'node_modules is missing or incomplete';
  if (read(stamp) === hash()) return undefined;
  if (!matches(JSON.parse(read(lockfile)).packages, JSON.parse(installed).packages))
    return 'package-lock.json has changed';
  writeFileSync(stamp, hash());
  return undefined;
}

function matches(locked, installed) {
  const paths = Object.keys({ ...locked, ...installed }).filter((path) => path.includes('node_modules/'));
  return paths.every((path) => {
    const [wanted, found] = [locked[path], installed[path]];
    // Packages of other platforms and omitted peers are only in the lockfile; `npm install --no-save` adds extraneous ones.
    if (!found) return wanted.optional || wanted.peer;
    if (!wanted) return found.extraneous;
    return ['version', 'integrity', 'link'].every((field) => wanted[field] === found[field]);
  });
}

async function install(reason) {
  console.error(`Installing packages (${reason}) …`);
  const options = ['--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=notice'];
  const npm = spawn('npm', ['ci', ...options], { cwd: root, stdio: ['ignore', 2, 2] });
  // npm survives when this process is killed, so the next command waits for both.
  writeFileSync(mutex, `${process.pid} ${npm.pid}`);
  let interrupted;
  const interrupt = (signal) => {
    interrupted = signal;
    npm.kill(signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, interrupt);
  const [code] = await once(npm, 'close').catch((error) => [error.code]);
  for (const signal of signals) process.off(signal, interrupt);
  if (code === 0) {
    writeFileSync(stamp, hash());
    return;
  }
  rmSync(mutex, { force: true });
  if (interrupted) process.exit(128 + constants.signals[interrupted]);
  console.error(`npm ci failed (${code}): read the lines above, check the network and run the command again.`);
  process.exit(1);
}

/** Resolves when no other command installs. */
async function lock() {
  mkdirSync(`${root}.tools`, { recursive: true });
  for (let announced = false; ; await sleep(200)) {
    try {
      writeFileSync(mutex, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (!read(mutex).split(' ').some(isAlive)) {
      // Its processes were killed.
      rmSync(mutex, { force: true });
    } else if (!announced) {
      announced = true;
      console.error(`Waiting for another command to install packages (if none runs, delete ${mutex}) …`);
    }
  }
}

function hash() {
  return createHash('sha256').update(read(lockfile)).update(read(installedLockfile)).digest('hex');
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function isAlive(pid) {
  try {
    return process.kill(Number(pid), 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}
