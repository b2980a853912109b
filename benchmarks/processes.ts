/** The CPU time of processes, and the CPUs that they may use. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const isLinux = process.platform === 'linux';
/** The unit of times on Linux (USER_HZ is 100 on every platform of Node.js). */
const tickMs = 10;

/** All processes at one moment. */
export type Processes = Map<number, Process>;

interface Process {
  parent: number;
  /** With that of its ended children. */
  cpuMs: number;
}

export function lookAtProcesses(): Processes {
  return isLinux ? lookAtProc() : askPs();
}

/** The CPU time of a process and its descendants. It never decreases: a parent inherits that of its ended children. */
export function cpuMsOf(processes: Processes, root: number): number {
  let sum = processes.get(root)?.cpuMs ?? 0;
  for (const [pid, { parent }] of processes) if (parent === root) sum += cpuMsOf(processes, pid);
  return sum;
}

/** For how long these CPUs were not idle, in milliseconds; undefined where the system does not count it. */
export function busyMsOf(cpus: number[]): number | undefined {
  if (!isLinux) return undefined;
  const lines = readFileSync('/proc/stat', 'utf8').split('\n');
  const perCpu = cpus.map((cpu) => {
    // proc(5): user nice system idle iowait irq softirq steal; guests are counted in user.
    const line = lines.find((each) => each.startsWith(`cpu${cpu} `)) ?? '';
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(' ').slice(1).map(Number);
    return (user + nice + system + irq + softirq + steal) * tickMs;
  });
  return perCpu.reduce((sum, each) => sum + each, 0);
}

/** Two CPUs that this process may use; undefined without `taskset`, which only Linux has. */
export function twoCpus(): { first: number; second: number } | undefined {
  if (!isLinux || availableParallelism() < 2) return undefined;
  const allowed = /Cpus_allowed_list:\s+(\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  const cpus = allowed.split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
  const [first, second] = cpus;
  if (first === undefined || second === undefined) return undefined;
  try {
    // This process with all its threads and children.
    execFileSync('taskset', ['-acp', String(second), String(process.pid)]);
  } catch {
    return undefined;
  }
  return { first, second };
}

function lookAtProc(): Processes {
  const processes: Processes = new Map();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!pid) continue;
    try {
      // proc(5): behind the name, which may hold anything, state and parent, and times from the 14th field on.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const ticks = fields.slice(11, 15).reduce((sum, each) => sum + Number(each), 0);
      processes.set(pid, { parent: Number(fields[1]), cpuMs: ticks * tickMs });
    } catch {
      // The process has ended.
    }
  }
  return processes;
}

function askPs(): Processes {
  const lines = execFileSync('ps', ['-axo', 'pid=,ppid=,time='], { encoding: 'utf8' }).trim().split('\n');
  return new Map(
    lines.map((line) => {
      const [pid, parent, time = ''] = line.trim().split(/\s+/);
      const seconds = time.split(/[:-]/).reduce((sum, each, index, parts) => {
        const isDays = parts.length === 4 && index === 1;
        return sum * (isDays ? 24 : 60) + Number(each);
      }, 0);
      return [Number(pid), { parent: Number(parent), cpuMs: seconds * 1000 }];
    }),
  );
}
