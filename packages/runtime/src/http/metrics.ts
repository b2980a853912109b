/** Prometheus metrics, on a port of their own so that the Ingress never shows them. */
import { createServer, type Server } from 'node:http';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Database } from '../postgres/database.ts';
import type { Outgoing } from './context.ts';

export interface Metrics {
  /** Counts a request that is over: `http_request_duration_seconds` by operation and status. */
  observe(res: Outgoing): void;
  /** Serves what was measured at `GET /metrics`. */
  server: Server;
}

/** Measures requests, the pool of connections, and what prom-client measures of any process (event-loop lag, memory). */
export function createMetrics(db: Database): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'pg_pool_connections',
    help: 'Connections to PostgreSQL: in use, idle, and requests that wait for one.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const { totalCount, idleCount, waitingCount } = db.pool;
      this.set({ state: 'used' }, totalCount - idleCount);
      this.set({ state: 'idle' }, idleCount);
      this.set({ state: 'waiting' }, waitingCount);
    },
  });
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'From the request to the end of its answer.',
    labelNames: ['operation', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    registers: [registry],
  });
  return {
    observe({ locals: { operation, beganMs }, statusCode: status }) {
      duration.observe({ operation: operation?.operationId ?? 'none', status }, (performance.now() - beganMs) / 1000);
    },
    server: createServer((req, res) => {
      if (req.url !== '/metrics') {
        res.writeHead(404).end();
        return;
      }
      void registry.metrics().then((text) => res.setHeader('Content-Type', registry.contentType).end(text));
    }),
  };
}
